//! What NVIDIA's assembler says about the kernels: whether their registers fit an H100's.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use libtest_mimic::Failed;

/// What CubeCL compiles for on an H100.
const ARCHITECTURE: &str = "-arch=sm_90a";
const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/kernels/gpu");

/// Assembles each kernel, of which `compiled` has name and file. => what is wrong: a kernel of ours that keeps registers in
/// memory, or any that is no program for that GPU; and how many of Burn's keep registers in memory
pub(crate) fn judge(compiled: &[(String, PathBuf)]) -> Result<(Vec<String>, usize), Failed> {
    let ours = kernels_in(Path::new(OURS))?;
    let (mut wrong, mut others) = (Vec::new(), 0);
    for (name, file) in compiled {
        let said = assemble(file)?;
        // "0 bytes stack frame, 4 bytes spill stores, 4 bytes spill loads".
        let spilled = said
            .find(" bytes spill stores")
            .and_then(|at| said[..at].rsplit(' ').next()?.parse::<u32>().ok());
        let is_ours = ours.iter().any(|ours| name.starts_with(ours.as_str()));
        match spilled {
            None => wrong.push(format!("{name} cannot be assembled: {} {said}", file.display())),
            Some(0) => {}
            Some(bytes) if is_ours => {
                wrong.push(format!("{name} keeps {bytes} bytes of registers in memory: {}", file.display()));
            }
            Some(_) => others += 1,
        }
    }
    Ok((wrong, others))
}

/// The assembler's report, kept beside the kernel.
fn assemble(file: &Path) -> Result<String, Failed> {
    let kept = file.with_extension("ptxas");
    if let Ok(said) = fs::read_to_string(&kept) {
        return Ok(said);
    }
    let assembler = PathBuf::from(env::var("CUDA_PATH")?).join("bin/ptxas");
    let done = Command::new(assembler).args(["-v", ARCHITECTURE, "-o", "/dev/null"]).arg(file).output()?;
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    if done.status.success() {
        // At once whole: another trial may be reading it.
        let half = tempfile::NamedTempFile::new_in(file.parent().unwrap_or(Path::new(".")))?;
        fs::write(&half, &said)?;
        half.persist(kept)?;
    }
    Ok(said)
}

/// The names of our kernels: of every function that is launched, in this folder and those below.
fn kernels_in(folder: &Path) -> Result<Vec<String>, Failed> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            names.extend(kernels_in(&path)?);
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = fs::read_to_string(path)?;
        for after in text.split("#[cube(launch").skip(1) {
            let name =
                after.split_once("fn ").map(|(_, rest)| rest.split(['<', '(']).next().unwrap_or_default());
            names.push(name.ok_or("`#[cube(launch)]` stands before a function")?.to_owned());
        }
    }
    Ok(names)
}
