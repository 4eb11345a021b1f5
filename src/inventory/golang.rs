//! Go modules from the build information that the linker leaves in every Go binary.
//!
//! Format: Go's `debug/buildinfo`. A 32-byte header (magic, pointer size, flags) is followed, since
//! Go 1.18, by two length-prefixed strings; before, it points at two string headers in the data.

use object::{Object, ObjectSection, ObjectSegment};

use crate::model::inventory::Package;

use super::gaps::Gaps;
use super::purl;

const MAGIC: &[u8] = b"\xff Go buildinf:";
const HEADER: usize = 32;
const MAX_TEXT: usize = 16 << 20;
const MAX_MODULES: usize = 100_000;
const KIND: &str = "go binary";

/// What a binary says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct BuildInfo {
    /// The tool chain's version without `go`; empty for a development one.
    pub toolchain: String,
    /// `(path, version)` of the modules inside, replacements applied.
    pub modules: Vec<(String, String)>,
}

impl BuildInfo {
    /// Bytes it costs, roughly.
    pub fn cost(&self) -> usize {
        let modules: usize = self.modules.iter().map(|(p, v)| p.len() + v.len() + 48).sum();
        48 + self.toolchain.len() + modules
    }

    /// The packages it holds, the standard library first.
    pub fn packages(&self, path: &str, layer: &str) -> Vec<Package> {
        let package = |(module, version): (&str, &str)| {
            let lower = module.to_lowercase();
            let (namespace, name) = lower.rsplit_once('/').unwrap_or(("", &lower));
            Package {
                name: module.to_owned(),
                version: version.to_owned(),
                ecosystem: "Go".to_owned(),
                purl: purl::of("golang", namespace, name, version, &[]),
                layer: layer.to_owned(),
                path: path.to_owned(),
                ..Package::default()
            }
        };
        let stdlib = (!self.toolchain.is_empty()).then_some(("stdlib", self.toolchain.as_str()));
        let modules = self.modules.iter().map(|(m, v)| (m.as_str(), v.as_str()));
        stdlib.into_iter().chain(modules).map(package).collect()
    }
}

/// Whether a file may be an executable, by its first bytes: ELF, PE, Mach-O.
pub(super) fn is_executable(start: &[u8]) -> bool {
    const MAGICS: [&[u8]; 4] = [b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe"];
    start.len() > 64 && MAGICS.iter().any(|magic| start.starts_with(magic))
}

/// The build information of an executable; `None` where it is no Go binary.
pub(super) fn parse(path: &str, binary: &[u8], gaps: &mut Gaps) -> Option<BuildInfo> {
    let file = object::File::parse(binary).ok()?;
    let section = find(&file)?;
    let Some((version, modules)) = strings(&file, section) else {
        gaps.add(KIND, path, "Go build information that cannot be read");
        return None;
    };
    let mut info = BuildInfo { toolchain: toolchain(&version), modules: Vec::new() };
    if info.toolchain.is_empty() {
        gaps.add(KIND, path, "built with an unreleased Go; its standard library is not assessed");
    }
    if modules.is_empty() {
        gaps.add(KIND, path, "built without modules; only its standard library is known");
    }
    read_modules(&modules, &mut info, path, gaps);
    Some(info)
}

/// The bytes from the magic on.
fn find<'d>(file: &object::File<'d>) -> Option<&'d [u8]> {
    let named = file
        .sections()
        .find(|section| matches!(section.name(), Ok(".go.buildinfo" | "__go_buildinfo")));
    if let Some(data) = named.and_then(|section| section.data().ok()) {
        return from_magic(data);
    }
    // Without section names the linker's rule holds: at the start of a data segment.
    file.segments().find_map(|segment| {
        let data = segment.data().ok()?;
        from_magic(&data[..data.len().min(1 << 20)])
    })
}

fn from_magic(data: &[u8]) -> Option<&[u8]> {
    let at = (0..data.len()).step_by(16).find(|&at| data[at..].starts_with(MAGIC))?;
    (data.len() - at >= HEADER).then(|| &data[at..])
}

/// The version and the module text.
fn strings(file: &object::File<'_>, section: &[u8]) -> Option<(String, String)> {
    let flags = section[15];
    let (version, modules) = if flags & 2 != 0 {
        let (version, rest) = inline(&section[HEADER..])?;
        (version, inline(rest)?.0)
    } else {
        let reader = Pointers { file, size: usize::from(section[14]), big: flags & 1 != 0 };
        let version = reader.string(section.get(16..)?)?;
        (version, reader.string(section.get(16 + reader.size..)?)?)
    };
    let version = String::from_utf8_lossy(version).into_owned();
    Some((version, String::from_utf8_lossy(unframed(modules)).into_owned()))
}

/// A string behind its length as a base-128 varint; the rest behind it.
fn inline(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0_u64;
    for (i, byte) in data.iter().take(9).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            let length = usize::try_from(length).ok().filter(|&length| length <= MAX_TEXT)?;
            return data[i + 1..].split_at_checked(length);
        }
    }
    None
}

/// Cuts the 16-byte sentinels around the module text.
fn unframed(text: &[u8]) -> &[u8] {
    let end = text.len().saturating_sub(16);
    match end > 16 && text[end - 1] == b'\n' {
        true => &text[16..end],
        false => b"",
    }
}

/// Follows the pointers of the format before Go 1.18.
struct Pointers<'f, 'd> {
    file: &'f object::File<'d>,
    size: usize,
    big: bool,
}

impl<'d> Pointers<'_, 'd> {
    fn string(&self, pointer: &[u8]) -> Option<&'d [u8]> {
        let header = self.at(self.word(pointer)?, 2 * self.size as u64)?;
        let length = self.word(header.get(self.size..)?)?;
        self.at(self.word(header)?, length)
    }

    fn word(&self, data: &[u8]) -> Option<u64> {
        let bytes = data.get(..self.size)?;
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        match (self.size, self.big) {
            (4 | 8, true) => Some(bytes.iter().fold(0, fold)),
            (4 | 8, false) => Some(bytes.iter().rev().fold(0, fold)),
            _ => None,
        }
    }

    fn at(&self, address: u64, length: u64) -> Option<&'d [u8]> {
        if length > MAX_TEXT as u64 {
            return None;
        }
        self.file.segments().find_map(|segment| {
            let offset = usize::try_from(address.checked_sub(segment.address())?).ok()?;
            segment.data().ok()?.get(offset..)?.get(..length as usize)
        })
    }
}

/// `go1.21.3 X:boringcrypto` is `1.21.3`.
fn toolchain(version: &str) -> String {
    let word = version.split_whitespace().next().unwrap_or_default();
    let number = word.strip_prefix("go").unwrap_or_default();
    let good = number.starts_with(|c: char| c.is_ascii_digit()) && is_value(number);
    if good { number.to_owned() } else { String::new() }
}

/// Reads the `mod`, `dep` and `=>` lines (Go's `runtime/debug.BuildInfo`).
fn read_modules(text: &str, info: &mut BuildInfo, path: &str, gaps: &mut Gaps) {
    let mut modules: Vec<(&str, &str)> = Vec::new();
    for line in text.lines() {
        let mut fields = line.split('\t');
        let (kind, module) = (fields.next(), fields.next().unwrap_or_default());
        let version = fields.next().unwrap_or_default();
        match kind {
            Some("mod" | "dep") if modules.len() < MAX_MODULES => modules.push((module, version)),
            Some("=>") => {
                modules.pop();
                modules.push((module, version));
            }
            _ => {}
        }
    }
    for (i, (module, version)) in modules.into_iter().enumerate() {
        if is_value(module) && is_value(version) && version != "(devel)" {
            info.modules.push((module.to_owned(), version.to_owned()));
        } else if i > 0 {
            gaps.add(KIND, path, "a module replaced by a local folder, so without a version");
        }
    }
    info.modules.sort();
    info.modules.dedup();
}

fn is_value(value: &str) -> bool {
    !value.is_empty() && value.len() <= 1024 && value.chars().all(|c| !c.is_control() && c != ' ')
}
