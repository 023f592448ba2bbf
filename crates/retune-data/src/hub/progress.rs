//! How a download tells whoever watches how far it is.

/// Watches downloads. Calls for one file come in order; files come one after another.
pub trait Progress: Sync {
    /// A transfer begins. `already` bytes of `total` are on disk from an earlier try. It is called
    /// again for the same file when a broken transfer goes on or starts over.
    fn started(&self, file: &str, total: Option<u64>, already: u64);
    /// That many more bytes are on disk.
    fn advanced(&self, bytes: u64);
    /// The file of the last `started` is complete.
    fn finished(&self);
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn started(&self, _file: &str, _total: Option<u64>, _already: u64) {}
    fn advanced(&self, _bytes: u64) {}
    fn finished(&self) {}
}
