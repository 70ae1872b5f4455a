//! What reading a pickle may cost, whatever is in it.

/// Instructions of one file, those of nested archives included. The largest published snapshots need some 10^5.
const INSTRUCTIONS: u32 = 8_000_000;
/// Objects of one file.
const OBJECTS: u32 = 2_000_000;
/// Bytes of text of one file: the sources of modules are in there.
const TEXT: u64 = 256 << 20;

/// What is left to spend.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    instructions: u32,
    objects: u32,
    text: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { instructions: INSTRUCTIONS, objects: OBJECTS, text: TEXT }
    }
}

impl Budget {
    /// Spends one instruction.
    pub(super) fn instruction(&mut self) -> Result<(), &'static str> {
        self.instructions = self.instructions.checked_sub(1).ok_or("it has too many instructions")?;
        Ok(())
    }

    /// Spends one object.
    pub(super) fn object(&mut self) -> Result<(), &'static str> {
        self.objects = self.objects.checked_sub(1).ok_or("it makes too many objects")?;
        Ok(())
    }

    /// Spends bytes of text.
    pub(super) fn text(&mut self, bytes: u64) -> Result<(), &'static str> {
        self.text = self.text.checked_sub(bytes).ok_or("it holds too much text")?;
        Ok(())
    }
}
