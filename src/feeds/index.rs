//! The index, open: look-ups by package and by CVE.

use std::io;
use std::path::Path;

use crate::model::advisory::{Advisories, Advisory, Enrichment, FeedState};

use super::pointer::Pointer;
use super::segment::{Failure, Segment};
use super::{Error, names, osv};

/// All segments in use, mapped.
#[derive(Debug)]
pub struct Index {
    state: FeedState,
    segments: Vec<Segment>,
}

impl Index {
    /// Opens the index of a feeds folder and checks it whole; `None` where there is none.
    ///
    /// # Errors
    /// Where it is damaged or unreadable.
    pub fn open(folder: &Path) -> Result<Option<Self>, Error> {
        // An import may swap the table and remove old segments between the two reads.
        for _ in 0..8 {
            let Some(pointer) = Pointer::read(folder)? else { return Ok(None) };
            if let Some(segments) = segments(folder, &pointer)? {
                return Ok(Some(Self { state: pointer.state(), segments }));
            }
        }
        let reason = "a segment that it names is missing".to_owned();
        Err(Error::Damaged { path: folder.join("current.json"), reason })
    }

    /// What is in it and how old that is.
    pub fn state(&self) -> FeedState {
        self.state.clone()
    }
}

/// `None` where a segment is gone.
fn segments(folder: &Path, pointer: &Pointer) -> Result<Option<Vec<Segment>>, Error> {
    let mut segments = Vec::with_capacity(pointer.segments.len());
    for entry in &pointer.segments {
        let path = folder.join(&entry.file);
        match Segment::open(&path, entry.length) {
            Ok(segment) => segments.push(segment),
            Err(Failure::Open(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(Failure::Open(source)) => return Err(Error::Read { path, source }),
            Err(Failure::Damaged(reason)) => return Err(Error::Damaged { path, reason }),
        }
    }
    Ok(Some(segments))
}

impl Advisories for Index {
    fn of(&self, ecosystem: &str, name: &str) -> Vec<Advisory> {
        let mut found = Vec::new();
        let exact = names::key(ecosystem, name);
        // Records without a release speak of all releases.
        let wide = names::key(names::base(ecosystem), name);
        for segment in &self.segments {
            segment.of(&exact, &mut found);
            if wide != exact {
                segment.of(&wide, &mut found);
            }
        }
        found
    }

    fn covers(&self, ecosystem: &str) -> bool {
        let exact = names::ecosystem(ecosystem);
        let wide = names::base(ecosystem);
        let mut known = self.segments.iter().flat_map(|segment| &segment.ecosystems);
        !wide.is_empty() && known.any(|known| *known == *exact || known == wide)
    }

    fn enrich(&self, id: &str) -> Enrichment {
        let mut all = Enrichment::default();
        for more in self.segments.iter().filter_map(|segment| segment.enrich(id)) {
            all.kev |= more.kev;
            all.epss = all.epss.or(more.epss);
            let known = all.severity.map(|severity| (severity, all.cvss));
            let offer = more.severity.map(|severity| (severity, more.cvss));
            let worst = osv::worse(known, offer);
            (all.severity, all.cvss) = (worst.map(|w| w.0), worst.and_then(|w| w.1));
        }
        all
    }
}
