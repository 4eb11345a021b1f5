//! Bounds on what an image may cost to read.

/// Upper bounds of one reading; what lies beyond them becomes a gap, not a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Entries of one layer.
    pub entries: u64,
    /// Layers of one archive, unused ones included.
    pub layers: usize,
    /// Bytes of one file that is kept for parsing.
    pub file_bytes: u64,
    /// Bytes of one executable that is read for its Go build information.
    pub executable_bytes: u64,
    /// Bytes kept of all layers together: file contents, names and link targets.
    pub kept_bytes: u64,
    /// First bytes of each regular file that are handed to the inspection.
    pub inspect_bytes: usize,
    /// Bytes of one JSON document of the archive or of a package.
    pub json_bytes: u64,
    /// Bytes of one path.
    pub path_bytes: usize,
    /// Components of one path.
    pub path_depth: usize,
    /// Uncompressed bytes of one layer.
    pub layer_bytes: u64,
    /// Uncompressed bytes from which on [`Limits::ratio`] is looked at.
    pub ratio_from: u64,
    /// How many times larger than its compressed form a layer may become.
    pub ratio: u64,
    /// Secrets of one image.
    pub secrets: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 2_000_000,
            layers: 500,
            file_bytes: 64 << 20,
            executable_bytes: 256 << 20,
            kept_bytes: 1 << 30,
            inspect_bytes: 1 << 20,
            json_bytes: 16 << 20,
            path_bytes: 4096,
            path_depth: 256,
            layer_bytes: 200 << 30,
            ratio_from: 16 << 30,
            ratio: 500,
            secrets: 10_000,
        }
    }
}
