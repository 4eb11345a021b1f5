//! A tar stream read block by block, with every length bounded before it is believed.
//!
//! The `tar` crate decodes single headers; its iterator is not used because it reads long names and
//! extended headers into memory whatever size they claim. Where readers differ, this one follows the
//! daemon's (Go's `archive/tar`), so that nothing is seen here that a container would not see.

use std::io::{self, Read};

use tar::{EntryType, Header};

const BLOCK: u64 = 512;
const MAX_EXTENDED: u64 = 1 << 20;
const MAX_NAME: u64 = 64 << 10;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A regular file, sparse ones included.
    File,
    /// A folder.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A hard link to an earlier entry.
    Hardlink,
    /// A device, a pipe or something unknown.
    Other,
}

/// One entry; its name and link target stand in the [`Tarball`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Permission bits, the lower twelve.
    pub mode: u16,
    /// Bytes that follow in the stream; of a sparse file without its holes.
    pub size: u64,
    /// Whether the name was beyond the bound and is lost.
    pub nameless: bool,
}

/// A tar stream.
#[derive(Debug)]
pub(super) struct Tarball<R> {
    input: R,
    left: u64,
    padding: u64,
    /// The current entry's name as written.
    pub name: Vec<u8>,
    /// The current entry's link target as written.
    pub link: Vec<u8>,
}

/// What extension headers say of the entry that follows them.
#[derive(Debug, Default)]
struct Extension {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    too_long: bool,
}

impl<R: Read> Tarball<R> {
    /// Starts at the first header of `input`.
    pub fn new(input: R) -> Self {
        Self { input, left: 0, padding: 0, name: Vec::new(), link: Vec::new() }
    }

    /// The next entry, `None` at the archive's end.
    pub fn next(&mut self) -> io::Result<Option<Entry>> {
        let mut extension = Extension::default();
        loop {
            self.skip()?;
            let Some(header) = self.header()? else { return Ok(None) };
            let size = size_of(&header)?;
            match header.entry_type() {
                EntryType::XHeader => self.extended(size, &mut extension)?,
                EntryType::GNULongName => extension.name = self.long(size, &mut extension)?,
                EntryType::GNULongLink => extension.link = self.long(size, &mut extension)?,
                EntryType::XGlobalHeader => self.expect(size)?,
                kind => return self.entry(&header, kind, size, extension).map(Some),
            }
        }
    }

    /// Gives the input back, wherever it stands.
    pub fn into_inner(self) -> R {
        self.input
    }

    fn entry(
        &mut self,
        header: &Header,
        entry_type: EntryType,
        size: u64,
        extension: Extension,
    ) -> io::Result<Entry> {
        if entry_type == EntryType::GNUSparse {
            self.sparse_map(header)?;
        }
        self.name.clear();
        match &extension.name {
            Some(name) => self.name.extend_from_slice(name),
            None => self.name.extend_from_slice(&header.path_bytes()),
        }
        self.link.clear();
        match &extension.link {
            Some(link) => self.link.extend_from_slice(link),
            None => self.link.extend_from_slice(&header.link_name_bytes().unwrap_or_default()),
        }
        let kind = kind_of(entry_type, &self.name);
        // Links and folders carry no data, whatever their size field says.
        let has_data = matches!(kind, Kind::File)
            || (kind == Kind::Other && !matches!(entry_type.as_byte(), b'3' | b'4' | b'6'));
        let size = if has_data { extension.size.unwrap_or(size) } else { 0 };
        self.expect(size)?;
        let mode = header.mode().unwrap_or(0) & 0o7777;
        Ok(Entry { kind, mode: mode as u16, size, nameless: extension.too_long })
    }

    fn expect(&mut self, size: u64) -> io::Result<()> {
        if size > i64::MAX as u64 {
            return Err(broken("an entry claims a negative or impossible size"));
        }
        self.left = size;
        self.padding = (BLOCK - size % BLOCK) % BLOCK;
        Ok(())
    }

    /// Reads one header; two zero blocks, or the stream's end on a boundary, end the archive.
    fn header(&mut self) -> io::Result<Option<Header>> {
        let mut header = Header::new_old();
        if !fill(&mut self.input, header.as_mut_bytes())? {
            return Ok(None);
        }
        if header.as_bytes().iter().all(|&b| b == 0) {
            let more = fill(&mut self.input, header.as_mut_bytes())?;
            if more && header.as_bytes().iter().any(|&b| b != 0) {
                return Err(broken("data after a zero block"));
            }
            return Ok(None);
        }
        if !checksum_holds(&header) {
            return Err(broken("a header's checksum does not match: not a tar, or a damaged one"));
        }
        Ok(Some(header))
    }

    fn long(&mut self, size: u64, extension: &mut Extension) -> io::Result<Option<Vec<u8>>> {
        self.expect(size)?;
        if size > MAX_NAME {
            extension.too_long = true;
            return Ok(None);
        }
        let mut name = self.take_all()?;
        if let Some(end) = name.iter().position(|&b| b == 0) {
            name.truncate(end);
        }
        Ok(Some(name))
    }

    fn extended(&mut self, size: u64, extension: &mut Extension) -> io::Result<()> {
        if size > MAX_EXTENDED {
            return Err(broken("an extended header larger than 1 MiB"));
        }
        self.expect(size)?;
        let records = self.take_all()?;
        parse_extended(&records, extension)
    }

    fn take_all(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.left as usize];
        self.input.read_exact(&mut bytes)?;
        self.left = 0;
        Ok(bytes)
    }

    /// Skips the further blocks of a sparse file's map; the holes themselves are never expanded.
    fn sparse_map(&mut self, header: &Header) -> io::Result<()> {
        let mut more = header.as_gnu().is_some_and(|gnu| gnu.is_extended());
        let mut block = [0; BLOCK as usize];
        while more {
            self.input.read_exact(&mut block)?;
            more = block[504] != 0;
        }
        Ok(())
    }

    fn skip(&mut self) -> io::Result<()> {
        let todo = self.left.saturating_add(self.padding);
        self.left = 0;
        self.padding = 0;
        if io::copy(&mut (&mut self.input).take(todo), &mut io::sink())? < todo {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

impl<R: Read> Read for Tarball<R> {
    /// Reads the current entry's data.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let want = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if want == 0 {
            return Ok(0);
        }
        let got = self.input.read(&mut into[..want])?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= got as u64;
        Ok(got)
    }
}

/// Whether these first bytes begin a tar archive: a header whose checksum holds, or the end mark.
pub(super) fn is_tar(start: &[u8]) -> bool {
    let Some(block) = start.get(..BLOCK as usize) else { return false };
    block.iter().all(|&b| b == 0) || checksum_holds(Header::from_byte_slice(block))
}

fn kind_of(entry_type: EntryType, name: &[u8]) -> Kind {
    match entry_type {
        EntryType::Regular if name.ends_with(b"/") => Kind::Dir,
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File,
        EntryType::Directory => Kind::Dir,
        EntryType::Symlink => Kind::Symlink,
        EntryType::Link => Kind::Hardlink,
        _ => Kind::Other,
    }
}

fn size_of(header: &Header) -> io::Result<u64> {
    let field = &header.as_old().size;
    // A blank field is zero to Go's reader and an error to the crate's.
    if field.iter().all(|b| matches!(b, 0 | b' ')) {
        return Ok(0);
    }
    header.entry_size().map_err(|_| broken("an entry's size is not a number"))
}

fn checksum_holds(header: &Header) -> bool {
    let bytes = header.as_bytes();
    let sum = |range: &[u8]| range.iter().map(|&b| u32::from(b)).sum::<u32>();
    let signed = |range: &[u8]| range.iter().map(|&b| i64::from(b as i8)).sum::<i64>();
    let (head, tail) = (&bytes[..148], &bytes[156..]);
    let Ok(stated) = header.cksum() else { return false };
    stated == sum(head) + sum(tail) + 8 * 32
        || i64::from(stated) == signed(head) + signed(tail) + 8 * 32
}

/// Reads `LENGTH KEY=VALUE\n` records (POSIX.1-2001, pax), the length counting the whole record.
fn parse_extended(mut records: &[u8], extension: &mut Extension) -> io::Result<()> {
    while !records.is_empty() {
        if records.iter().all(|&b| b == 0) {
            return Ok(());
        }
        let bad = || broken("an extended header that does not follow the format");
        let space = records.iter().take(20).position(|&b| b == b' ').ok_or_else(bad)?;
        let length: usize = number(&records[..space]).ok_or_else(bad)?;
        let record = records.get(space + 1..length).ok_or_else(bad)?;
        let record = record.strip_suffix(b"\n").ok_or_else(bad)?;
        let equals = record.iter().position(|&b| b == b'=').ok_or_else(bad)?;
        let value = &record[equals + 1..];
        match &record[..equals] {
            b"path" | b"GNU.sparse.name" => extension.name = Some(value.to_vec()),
            b"linkpath" => extension.link = Some(value.to_vec()),
            b"size" => extension.size = Some(number(value).ok_or_else(bad)?),
            _ => {}
        }
        records = &records[length..];
    }
    Ok(())
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(text).ok()?.parse().ok()).flatten()
}

/// Fills the buffer; `false` where the stream ends before its first byte.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    let mut done = 0;
    while done < buffer.len() {
        match input.read(&mut buffer[done..]) {
            Ok(0) if done == 0 => return Ok(false),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(true)
}

fn broken(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
