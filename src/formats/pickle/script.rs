//! TorchScript: modules as records of attributes. Their code lies in the same archive; nobody reads it.

use super::{
    super::zip::ZipArchive,
    object::{Object, Value},
    reader::Pickle,
};

/// Classes of a TorchScript archive are in this module or below it.
const ROOT: &str = "__torch__";

/// Whether the pickle in that folder of an archive is TorchScript's: its code or its constants lie beside it.
pub(super) fn is_archive(archive: &ZipArchive, folder: &str) -> bool {
    let beside = |name: &str| name == "constants.pkl" || name.starts_with("code/");
    archive.entries().iter().any(|entry| entry.name.strip_prefix(folder).is_some_and(beside))
}

/// Whether `module.name` is a class of TorchScript.
pub(super) fn is_class(module: &str, name: &str) -> bool {
    let mut parts = module.split('.');
    let class = name.starts_with(|c: char| c.is_ascii_uppercase()) && is_identifier(name);
    class && parts.next() == Some(ROOT) && parts.all(is_identifier)
}

fn is_identifier(part: &str) -> bool {
    let plain = part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    plain && !part.is_empty() && !part.starts_with(|c: char| c.is_ascii_digit())
}

impl Pickle {
    /// The class of a TorchScript module, such as `__torch__.torch.nn.modules.linear.Linear`, and its attributes:
    /// usually a dict. `None` for everything else.
    pub fn script_module(&self, value: Value) -> Option<(String, Value)> {
        let (module, class) = self.callee(value).filter(|(module, class)| is_class(module, class))?;
        let Object::Instance(record) = self.object(value)? else { return None };
        Some((format!("{module}.{class}"), record.state.unwrap_or(Value::None)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_plain_names_below_the_root() {
        for (module, name) in [
            ("__torch__", "Net"),
            ("__torch__.torch.nn.modules.conv", "Conv2d"),
            ("__torch__.___torch_mangle_12", "Conv2dLayer"),
        ] {
            assert!(is_class(module, name), "{module} {name}");
        }
        for (module, name) in [
            ("__torch__.os", "system"),
            ("__torch__", "os.System"),
            ("__torch__", ""),
            ("__torch__.", "Net"),
            ("__torch__..os", "Net"),
            ("__torch__.a b", "Net"),
            ("__torch__.1a", "Net"),
            ("__torch__\u{2024}os", "Net"),
            ("__torch__x", "Net"),
            ("os.__torch__", "Net"),
            ("", "Net"),
        ] {
            assert!(!is_class(module, name), "{module} {name}");
        }
    }
}
