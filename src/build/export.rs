//! An image as the tar of `docker save`, read while the daemon writes it.

use std::io::{self, Read};

use super::{Daemon, Error};

/// Blocking reader of an image's tar; read it where blocking is allowed.
#[derive(Debug)]
pub struct ImageReader {}

impl Daemon {
    /// Opens the `docker save` tar of an image; nothing is written to disk and the daemon waits
    /// for the reader. A stream that stands still for two minutes ends with an error.
    pub async fn export_reader(&self, id: &str) -> Result<ImageReader, Error> {
        let _ = id;
        todo!()
    }
}

impl Read for ImageReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let _ = buffer;
        todo!()
    }
}
