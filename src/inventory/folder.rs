//! Folders: a root file system as one layer, or an unpacked image layout.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;

use super::archive::{self, Blob, canonical, join, missing_config};
use super::collect::{Part, Source};
use super::gaps::Gaps;
use super::image;
use super::layer::{Budget, Layer, Meta, Reader, normalise};
use super::limits::Limits;
use super::overlay;
use super::tarball::Kind;
use super::{Error, Inspect};

/// Whether a folder is an unpacked OCI layout or `docker save`.
pub(super) fn is_layout(path: &Path) -> bool {
    path.join("oci-layout").is_file()
        || path.join("manifest.json").is_file() && !path.join("etc").exists()
}

/// Reads a root file system; links are noted, never followed, and other file systems not entered.
pub(super) fn root(path: &Path, limits: &Limits, inspect: &Inspect<'_>) -> Result<Source, Error> {
    let fail = |source| Error::Io { what: path.display().to_string(), source };
    let device = fs::metadata(path).map_err(fail)?.dev();
    let label = path.display().to_string();
    let mut budget = Budget::new(limits);
    let walk = Walk {
        root: path,
        device,
        reader: Reader::new(limits, &mut budget, inspect, &label),
        linked: HashMap::new(),
        entries: 0,
        overlay: false,
    };
    let layer = walk.whole().map_err(fail)?;
    Ok(Source {
        target: label.clone(),
        parts: vec![Part { layer: Some(0), name: label.clone() }],
        layers: vec![Arc::new(layer)],
        ..Source::default()
    })
}

/// A walk through one folder that stands for a layer.
pub(super) struct Walk<'a> {
    /// The folder.
    pub root: &'a Path,
    /// Its file system.
    pub device: u64,
    /// The layer so far.
    pub reader: Reader<'a>,
    /// First paths of files with several names, by inode.
    pub linked: HashMap<u64, String>,
    /// Entries seen.
    pub entries: u64,
    /// Whether it is a layer of overlay2, with its marks for what is hidden below.
    pub overlay: bool,
}

impl Walk<'_> {
    /// Walks to the end.
    pub fn whole(mut self) -> io::Result<Layer> {
        let mut todo = self.list(self.root)?;
        while let Some(next) = todo.pop() {
            todo.extend(self.visit(&next));
        }
        Ok(self.reader.layer)
    }

    /// A folder's children, the last name first, so that a stack takes them in order.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let left = self.reader.limits.entries.saturating_sub(self.entries);
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let mut paths = fs::read_dir(dir)?
            .take(left.saturating_add(1))
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<_>>>()?;
        paths.sort_by(|a, b| b.cmp(a));
        Ok(paths)
    }

    fn visit(&mut self, path: &Path) -> Vec<PathBuf> {
        self.entries += 1;
        let shown = path.strip_prefix(self.root).unwrap_or(path).as_os_str().as_bytes();
        if self.entries > self.reader.limits.entries {
            let text = String::from_utf8_lossy(shown);
            self.reader.gap("layer", &text, "more entries than the limit; the rest is not read");
            return Vec::new();
        }
        let mut name = String::new();
        let result = match normalise(shown, self.reader.limits, &mut name) {
            Ok(()) => self.add(path, &name),
            Err(reason) => Err(io::Error::other(reason)),
        };
        result.unwrap_or_else(|e| {
            self.reader.gap("folder", &String::from_utf8_lossy(shown), e.to_string());
            Vec::new()
        })
    }

    fn add(&mut self, path: &Path, name: &str) -> io::Result<Vec<PathBuf>> {
        let metadata = fs::symlink_metadata(path)?;
        let mode = (metadata.permissions().mode() & 0o7777) as u16;
        let file_type = metadata.file_type();
        let mut meta = Meta { path: name, link: "", mode, kind: Kind::Other, size: 0 };
        if file_type.is_dir() {
            meta.kind = Kind::Dir;
            self.reader.add(&meta, &mut io::empty())?;
            if self.overlay && overlay::is_opaque(path) {
                self.reader.layer.opaque.push(name.to_owned());
            }
            let same = metadata.dev() == self.device;
            return if same { self.list(path) } else { Ok(Vec::new()) };
        }
        if file_type.is_symlink() {
            let target = fs::read_link(path)?;
            let link = String::from_utf8_lossy(target.as_os_str().as_bytes());
            meta = Meta { kind: Kind::Symlink, link: &link, ..meta };
            self.reader.add(&meta, &mut io::empty())?;
        } else if file_type.is_file() {
            self.file(path, &metadata, meta)?;
        } else if self.overlay && overlay::is_whiteout(&metadata) {
            self.reader.layer.removed.push(name.to_owned());
        } else {
            self.reader.add(&meta, &mut io::empty())?;
        }
        Ok(Vec::new())
    }

    fn file(&mut self, path: &Path, metadata: &fs::Metadata, meta: Meta<'_>) -> io::Result<()> {
        if metadata.nlink() > 1 {
            if let Some(first) = self.linked.get(&metadata.ino()).cloned() {
                let meta = Meta { kind: Kind::Hardlink, link: &first, ..meta };
                return self.reader.add(&meta, &mut io::empty());
            }
            self.linked.insert(metadata.ino(), meta.path.to_owned());
        }
        self.reader.layer.size += metadata.len();
        let meta = Meta { kind: Kind::File, size: metadata.len(), ..meta };
        match open(path) {
            Ok(mut file) => self.reader.add(&meta, &mut file),
            Err(e) => {
                self.reader.add(&meta, &mut io::empty())?;
                Err(e)
            }
        }
    }
}

/// Opens a regular file; a link put in its place meanwhile is an error, a pipe does not block.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("not a regular file")),
    }
}

/// Reads an unpacked image layout; only the blobs of its image are opened.
pub(super) fn layout(path: &Path, limits: &Limits, inspect: &Inspect<'_>) -> Result<Source, Error> {
    let what = || path.display().to_string();
    let mut gaps = Gaps::default();
    let mut document = |name: &str| document(path, name, limits);
    let format = |reason| Error::Format { what: what(), reason };
    let parts = image::parts(&mut document, &mut gaps).map_err(format)?;
    let config = document(&parts.config).ok_or_else(|| format(missing_config(&parts)))?;
    let mut budget = Budget::new(limits);
    let (mut layers, mut known) = (Vec::new(), HashMap::new());
    let mut places = Vec::new();
    for name in parts.layers.iter().take(limits.layers) {
        if !known.contains_key(name) {
            match layer(path, name, limits, &mut budget, inspect) {
                Ok(layer) => {
                    known.insert(name.clone(), layers.len());
                    layers.push(Arc::new(layer));
                }
                Err(e) => gaps.add("layer", name, e.to_string()),
            }
        }
        places.push(known.get(name).copied());
    }
    places.resize(parts.layers.len(), None);
    let mut source = Source::new(parts, &config, places, layers, gaps).map_err(format)?;
    source.target = what();
    Ok(source)
}

fn document(root: &Path, name: &str, limits: &Limits) -> Option<Vec<u8>> {
    let file = open_inside(root, name).ok()?;
    let mut bytes = Vec::new();
    file.take(limits.json_bytes + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= limits.json_bytes).then_some(bytes)
}

fn layer(
    root: &Path,
    name: &str,
    limits: &Limits,
    budget: &mut Budget,
    inspect: &Inspect<'_>,
) -> io::Result<Layer> {
    let mut file = open_inside(root, name)?;
    let mut start = Vec::new();
    (&mut file).take(512).read_to_end(&mut start)?;
    let blob = Blob::of(&start);
    if matches!(blob, Blob::Json | Blob::Other) {
        return Err(io::Error::other("neither a tar nor gzip nor zstd"));
    }
    let whole = io::Cursor::new(&start).chain(file);
    Ok(archive::unpack(Reader::new(limits, budget, inspect, name), blob, whole))
}

/// Opens a file of the layout by its name there; one link is followed as long as it stays inside.
fn open_inside(root: &Path, name: &str) -> io::Result<File> {
    let name = canonical(name);
    // A folder of the name may be a link out of the layout; the real path decides.
    let inside = |path: &Path| {
        let real = fs::canonicalize(path)?;
        let root = fs::canonicalize(root)?;
        real.starts_with(root)
            .then_some(real)
            .ok_or_else(|| io::Error::other("it leads out of the layout"))
    };
    let path = root.join(&name);
    if fs::symlink_metadata(&path)?.file_type().is_symlink() {
        let target = fs::read_link(&path)?;
        let target = join(&name, &target.to_string_lossy());
        return open(&inside(&root.join(target))?);
    }
    open(&inside(&path)?)
}
