//! What reading a pickle may cost, whatever is in it: less than 64 MiB of memory, and a second.

/// Instructions of one file, those of nested archives included. The largest published snapshots need some 10^5.
const INSTRUCTIONS: u32 = 8_000_000;
/// Objects of one file, of 56 bytes and what they own; a module has about fifty.
const OBJECTS: u32 = 300_000;
/// Values that are put into containers, of 16 bytes each.
const VALUES: usize = 1_000_000;
/// Bytes of short texts and byte strings, which are held in memory.
const TEXT: u64 = 16 << 20;

/// What is left to spend.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    instructions: u32,
    objects: u32,
    values: usize,
    text: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { instructions: INSTRUCTIONS, objects: OBJECTS, values: VALUES, text: TEXT }
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

    /// Spends values.
    pub(super) fn values(&mut self, count: usize) -> Result<(), &'static str> {
        self.values =
            self.values.checked_sub(count).ok_or("its lists, tuples and dicts hold too many values")?;
        Ok(())
    }

    /// Spends bytes of text.
    pub(super) fn text(&mut self, bytes: u64) -> Result<(), &'static str> {
        self.text = self.text.checked_sub(bytes).ok_or("it holds too much text")?;
        Ok(())
    }
}
