//! Order, keys and reasons of plans drawn from Dockerfiles as people write them.

use std::collections::BTreeMap;

use super::*;
use crate::model::dockerfile::{Arg, Dockerfile, Spanned, Stage};
use crate::model::manifest::{Checksum, Manifest, Resource, ResourceKind};
use crate::model::pipeline::Rebuild;
use crate::model::plan::{BaseTarget, Planned, Reason};
use crate::model::source::{Level, Violation};

const ARGS: &str = "ARG BASE_REGISTRY=docker.io\nARG BASE_IMAGE\nARG BASE_TAG\n";
const FROM: &str = "FROM ${BASE_REGISTRY}/${BASE_IMAGE}:${BASE_TAG}\n";

/// Reads the few instructions these tests use.
fn dockerfile(text: &str) -> Dockerfile {
    let mut file = Dockerfile { text: text.into(), ..Dockerfile::default() };
    let mut at = 0;
    for (place, line) in text.split_inclusive('\n').enumerate() {
        let spanned = |value: &str| {
            let start = at + line.find(value).unwrap();
            Spanned { value: value.into(), span: start..start + value.len(), line: place + 1 }
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        let flag = |name: &str| words.iter().find_map(|word| word.strip_prefix(name));
        match words.as_slice() {
            ["ARG", declared] => {
                let (name, default) =
                    declared.split_once('=').map_or((*declared, None), |(a, b)| (a, Some(b)));
                let default = default.map(str::to_owned);
                let arg = Arg { name: name.into(), default, line: place + 1 };
                match file.stages.last_mut() {
                    Some(stage) => stage.args.push(arg),
                    None => file.args.push(arg),
                }
            }
            ["FROM", rest @ ..] => {
                let rest: Vec<&str> =
                    rest.iter().copied().filter(|word| !word.starts_with("--")).collect();
                file.stages.push(Stage {
                    name: rest.get(2).map(|name| name.to_lowercase()),
                    platform: flag("--platform=").map(str::to_owned),
                    from: spanned(rest[0]),
                    args: Vec::new(),
                    uses: Vec::new(),
                    copies: Vec::new(),
                    onbuild: Vec::new(),
                    user: None,
                    healthcheck: false,
                    labels: Vec::new(),
                    adds: Vec::new(),
                });
            }
            ["COPY", ..] => {
                file.stages.last_mut().unwrap().uses.extend(flag("--from=").map(spanned));
            }
            ["ONBUILD", ..] => file.stages.last_mut().unwrap().onbuild.push(spanned(line.trim())),
            _ => {}
        }
        at += line.len();
    }
    file
}

fn image(name: &str, base: &str, text: &str) -> ImageSource {
    let (base_image, base_tag) = base.rsplit_once(':').unwrap_or((base, ""));
    let args = [("BASE_IMAGE", base_image), ("BASE_TAG", base_tag)];
    ImageSource {
        name: name.into(),
        folder: format!("images/{name}"),
        manifest: Manifest {
            name: name.into(),
            tags: vec!["1.0".into(), "latest".into()],
            args: args.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            ..Manifest::default()
        },
        manifest_sha256: "m".into(),
        dockerfile: dockerfile(text),
        context: Vec::new(),
        violations: Vec::new(),
    }
}

/// An image in the usual form.
fn usual(name: &str, base: &str) -> ImageSource {
    image(name, base, &format!("{ARGS}{FROM}"))
}

fn literal(name: &str, lines: &str) -> ImageSource {
    image(name, "", lines)
}

#[derive(Default)]
struct Bench {
    images: Vec<ImageSource>,
    broken: Vec<BrokenImage>,
    build: BuildSpec,
    outside: BTreeMap<String, ResolvedBase>,
    onbuild: BTreeMap<String, Vec<String>>,
    last: BTreeMap<String, LastBuild>,
    contexts: BTreeMap<String, String>,
    only: Option<Vec<String>>,
    with_dependants: bool,
    requested_by: Option<String>,
}

impl Bench {
    fn of(images: Vec<ImageSource>) -> Self {
        let build = BuildSpec { registry: "reg.example.org/hard".into(), ..BuildSpec::default() };
        Self { images, build, ..Self::default() }
    }

    /// The daemon knows these references.
    fn with_daemon(mut self, known: &[(&str, &str)]) -> Self {
        for wish in outside(&self.images, &self.build.registry, None).unwrap() {
            let found = wish
                .candidates
                .iter()
                .find_map(|candidate| known.iter().find(|(reference, _)| reference == candidate));
            let resolved = match found {
                Some((reference, digest)) => ResolvedBase {
                    reference: (*reference).to_owned(),
                    digest: Some((*digest).to_owned()),
                    error: None,
                },
                None => ResolvedBase {
                    reference: wish.candidates[0].clone(),
                    digest: None,
                    error: Some("no such image".into()),
                },
            };
            self.outside.insert(wish.key, resolved);
        }
        self
    }

    fn on_demand(mut self, only: &[&str], with_dependants: bool) -> Self {
        self.only = Some(only.iter().map(|name| (*name).to_owned()).collect());
        self.with_dependants = with_dependants;
        self.requested_by = Some("ada".into());
        self
    }

    fn try_plan(&self) -> Result<Plan, Error> {
        plan(PlanInput {
            commit: "c0ffee",
            images: &self.images,
            broken: &self.broken,
            context_digests: &self.contexts,
            build: &self.build,
            outside: &self.outside,
            onbuild: &self.onbuild,
            last: &self.last,
            only: self.only.as_deref(),
            with_dependants: self.with_dependants,
            requested_by: self.requested_by.as_deref(),
            platform: Some("linux/amd64"),
        })
    }

    fn plan(&self) -> Plan {
        self.try_plan().unwrap()
    }

    /// The next night: everything was built as planned now.
    fn next_night(mut self) -> Self {
        for planned in self.plan().images {
            let last = LastBuild {
                night: "N1".into(),
                key: planned.key,
                parts: planned.parts,
                succeeded: true,
                exists: true,
            };
            self.last.insert(planned.name, last);
        }
        self
    }

    fn reasons(&self) -> BTreeMap<String, (String, bool)> {
        let shown = |p: Planned| (p.name, (p.reason.to_string(), p.reuse));
        self.plan().images.into_iter().map(shown).collect()
    }
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.images.iter().map(|planned| planned.name.as_str()).collect()
}

fn find<'a>(plan: &'a Plan, name: &str) -> &'a Planned {
    plan.images.iter().find(|planned| planned.name == name).unwrap()
}

/// What the only base of `child` is beside an image `os/base` (tags 1.0, latest).
fn target(child: ImageSource) -> BaseTarget {
    let name = child.name.clone();
    let plan = Bench::of(vec![usual("os/base", "debian:12"), child]).plan();
    find(&plan, &name).bases[0].target.clone()
}

#[test]
fn images_of_the_repository_are_found_by_every_spelling() {
    let own = BaseTarget::Image("os/base".into());
    for base in [
        "os/base:1.0",
        "os/base:latest",
        "hard/os/base:1.0",
        "ironbank/os/base:1.0",
        "acme/os/base:1.0",
    ] {
        assert_eq!(target(usual("app", base)), own, "{base}");
    }
    for from in [
        "os/base:1.0",
        "os/base",
        "reg.example.org/hard/os/base:1.0",
        "registry1.dso.mil/ironbank/os/base:1.0",
        "\"os/base:1.0\"",
    ] {
        assert_eq!(target(literal("app", &format!("FROM {from}\n"))), own, "{from}");
    }
    let digest = format!("os/base:1.0@sha256:{}", "a".repeat(64));
    for from in ["os/base:2.0", "base:1.0", "other:1.0", "docker.io/os/base:1.0", &digest] {
        let outside = target(literal("app", &format!("FROM {from}\n")));
        assert_eq!(outside, BaseTarget::Outside(from.into()), "{from}");
    }
}

#[test]
fn a_short_name_is_not_taken_for_somebody_elses_image() {
    let plan = |base: &str| {
        let images = vec![usual("redis", "debian:12"), usual("app", base)];
        find(&Bench::of(images).plan(), "app").bases[0].target.clone()
    };
    assert_eq!(plan("hard/redis:1.0"), BaseTarget::Image("redis".into()));
    assert_eq!(plan("ironbank/redis:1.0"), BaseTarget::Image("redis".into()));
    assert!(matches!(plan("bitnami/redis:1.0"), BaseTarget::Outside(_)));
}

#[test]
fn an_image_whose_name_holds_the_registrys_path() {
    let images = vec![usual("ironbank/os/base", "debian:12"), usual("app", "os/base:1.0")];
    let plan = Bench::of(images).plan();
    assert_eq!(find(&plan, "app").after, ["ironbank/os/base"]);
}

#[test]
fn a_tag_the_image_does_not_have_is_said() {
    let bench = Bench::of(vec![usual("os/base", "debian:12"), usual("app", "os/base:9")]);
    let plan = bench.with_daemon(&[("debian:12", "sha256:1")]).plan();
    assert!(find(&plan, "app").after.is_empty());
    let error = plan.outside.iter().find_map(|outside| outside.error.as_deref()).unwrap();
    assert_eq!(error, "image os/base of this repository has tags 1.0, latest; not 9");
    for from in ["os/base:9", "reg.example.org/hard/os/base:9", "ironbank/os/base:9"] {
        let images = vec![usual("os/base", "debian:12"), literal("app", &format!("FROM {from}\n"))];
        let wishes = outside(&images, "reg.example.org/hard", None).unwrap();
        assert!(wishes.iter().all(|wish| wish.wanted_by == ["os/base"]), "{from}");
        let mut bench = Bench::of(images);
        // Not even where somebody has put such an image on the daemon.
        let planted =
            ResolvedBase { reference: from.into(), digest: Some("sha256:bad".into()), error: None };
        bench.outside.insert(from.into(), planted);
        let plan = bench.plan();
        let BaseTarget::Outside(target) = &find(&plan, "app").bases[0].target else { panic!() };
        let base = plan.outside.iter().find(|base| base.reference == *target).unwrap();
        assert!(base.digest.is_none() && base.error.is_some(), "{from}");
    }
}

#[test]
fn another_registry_in_so_many_words_is_outside() {
    let images =
        |from: &str| vec![usual("os/base", "debian:12"), literal("app", &format!("FROM {from}\n"))];
    for from in ["docker.io/os/base:9", "quay.io/os/base:9"] {
        let wishes = outside(&images(from), "reg.example.org/hard", None).unwrap();
        let wish = wishes.iter().find(|wish| wish.key == from).unwrap();
        assert_eq!(wish.candidates, [from]);
    }
}

#[test]
fn arguments_of_the_manifest_win_over_defaults() {
    let text = "ARG BASE_REGISTRY=x\nARG BASE_IMAGE=nothing\nARG BASE_TAG=0\n\
                FROM ${BASE_REGISTRY}/${BASE_IMAGE}:${BASE_TAG}\n";
    assert_eq!(target(image("app", "os/base:1.0", text)), BaseTarget::Image("os/base".into()));
    let own = "ARG NAME=os\nARG FULL=${NAME}/base\nFROM ${FULL}:${TAG:-1.0}\n";
    assert_eq!(target(literal("app", own)), BaseTarget::Image("os/base".into()));
    let platform = "FROM debian-$TARGETARCH:$BUILDOS\n";
    assert_eq!(target(literal("app", platform)), BaseTarget::Outside("debian-amd64:linux".into()));
    let after = "FROM scratch AS one\nARG V=1.0\nFROM os/base:${V:-latest}\n";
    assert_eq!(target(literal("app", after)), BaseTarget::Image("os/base".into()));
}

#[test]
fn a_reference_that_cannot_be_is_an_error_of_its_image() {
    for text in [
        FROM.to_owned(),
        "FROM ${X\n".into(),
        "FROM UPPER:1\n".into(),
        "ARG X=${Y\nFROM $X\n".into(),
    ] {
        let plan = Bench::of(vec![literal("app", &text), usual("sound", "debian:12")]).plan();
        assert_eq!(names(&plan), ["app", "sound"]);
        let BaseTarget::Outside(reference) = &find(&plan, "app").bases[0].target else { panic!() };
        let outside = plan.outside.iter().find(|o| o.reference == *reference).unwrap();
        assert!(outside.error.is_some(), "{text}");
        assert!(!reference.contains('\u{1}'));
    }
}

#[test]
fn stages_and_scratch_are_no_bases() {
    let text = "FROM os/base:1.0 AS Build\nFROM build AS second\nCOPY --from=0 /a /a\n\
                COPY --from=build /a /a\nCOPY --from=tool:1 /a /a\nFROM scratch\nCOPY --from=second /a /a\n";
    let plan = Bench::of(vec![usual("os/base", "debian:12"), literal("app", text)]).plan();
    let app = find(&plan, "app");
    let targets: Vec<_> = app.bases.iter().map(|base| (base.target.clone(), base.last)).collect();
    assert_eq!(
        targets,
        [
            (BaseTarget::Image("os/base".into()), false),
            (BaseTarget::Outside("tool:1".into()), false)
        ]
    );
    assert_eq!(&text[app.bases[1].span.clone()], "tool:1");
    let below = "FROM os/base:1.0 AS a\nFROM a\n";
    let plan = Bench::of(vec![usual("os/base", "debian:12"), literal("app", below)]).plan();
    assert!(find(&plan, "app").bases[0].last);
}

#[test]
fn wishes_have_candidates_in_order() {
    let images = vec![
        usual("os/base", "debian:12"),
        usual("app", "os/base:1.0"),
        literal("tool", "FROM quay.io/a/b:1\nCOPY --from=debian:12 /a /a\n"),
        usual("other", "debian:12"),
        usual("path", "hard/x:1"),
    ];
    let wishes = outside(&images, "reg.example.org/hard", None).unwrap();
    let wish = |key: &str| wishes.iter().find(|wish| wish.key == key).unwrap();
    let debian = wish("reg.example.org/hard/debian:12");
    assert_eq!(
        debian.candidates,
        ["reg.example.org/hard/debian:12", "docker.io/debian:12", "debian:12"]
    );
    assert_eq!(debian.wanted_by, ["os/base", "other"]);
    assert_eq!(wish("quay.io/a/b:1").candidates, ["quay.io/a/b:1"]);
    assert_eq!(wish("debian:12").wanted_by, ["tool"]);
    assert_eq!(wish("reg.example.org/hard/x:1").candidates[1], "reg.example.org/hard/hard/x:1");
    assert_eq!(wishes.len(), 4);
}

#[test]
fn the_base_registry_joins_to_the_right_reference() {
    for (known, expected) in [
        ("reg.example.org/hard/debian:12", "reg.example.org/hard"),
        ("docker.io/debian:12", "docker.io"),
        ("debian:12", "docker.io"),
    ] {
        let bench = Bench::of(vec![usual("os/base", "debian:12")]);
        let plan = bench.with_daemon(&[(known, "sha256:1")]).plan();
        let base = find(&plan, "os/base");
        assert_eq!(base.args["BASE_REGISTRY"], expected);
        assert_eq!(base.bases[0].target, BaseTarget::Outside(known.into()));
        assert_eq!(base.parts.outside[known], "sha256:1");
    }
    for (base, expected) in
        [("os/base:1.0", "reg.example.org/hard"), ("hard/os/base:1.0", "reg.example.org")]
    {
        let plan = Bench::of(vec![usual("os/base", "debian:12"), usual("app", base)]).plan();
        let app = find(&plan, "app");
        assert_eq!(app.args["BASE_REGISTRY"], expected);
        assert_eq!(app.tags, ["reg.example.org/hard/app:1.0", "reg.example.org/hard/app:latest"]);
    }
}

#[test]
fn a_declared_image_is_a_resource() {
    let mut app = literal("app", "FROM golang:1.22 AS b\nFROM scratch\nCOPY --from=b /a /a\n");
    app.manifest.resources.push(Resource {
        kind: ResourceKind::Image("golang:1.22".into()),
        urls: vec!["docker://docker.io/library/golang:1.22".into()],
        checksum: None,
        auth: None,
        line: 1,
    });
    let plan = Bench::of(vec![app]).plan();
    assert_eq!(plan.images[0].bases[0].target, BaseTarget::Resource("golang:1.22".into()));
    assert!(plan.outside.is_empty());
    assert_eq!(
        plan.images[0].parts.inputs["golang:1.22"],
        "unpinned:docker://docker.io/library/golang:1.22"
    );
}

#[test]
fn an_image_hardened_from_its_namesake() {
    let literal_self = Bench::of(vec![image("debian", "", "FROM debian:1.0\n")]);
    let base = literal_self.plan().outside.remove(0);
    assert_eq!((base.reference.as_str(), base.digest), ("debian:1.0", None));
    assert!(base.error.unwrap().starts_with("image debian cannot be its own base"));
    assert!(outside(&literal_self.images, "reg.example.org/hard", None).unwrap().is_empty());
    let named = [literal("debian", "FROM docker.io/debian:1.0\n")];
    assert_eq!(outside(&named, "reg.example.org/hard", None).unwrap().len(), 1);
    let joined = Bench::of(vec![usual("debian", "debian:1.0")]);
    let wishes = outside(&joined.images, &joined.build.registry, None).unwrap();
    assert_eq!(wishes[0].candidates, ["docker.io/debian:1.0", "debian:1.0"]);
    let plan = joined.with_daemon(&[("debian:1.0", "sha256:1")]).plan();
    assert_eq!(plan.outside[0].digest.as_deref(), Some("sha256:1"));
    let own = Bench::of(vec![literal("a", "FROM reg.example.org/hard/a:1.0\n")]);
    assert!(matches!(own.try_plan(), Err(Error::Cycle { .. })));
    let text = format!("ARG BASE_REGISTRY\nARG BASE_IMAGE\nARG BASE_TAG\n{FROM}");
    let circle = Bench::of(vec![image("a", "a:1.0", &text)]).try_plan().unwrap_err();
    assert_eq!(circle, Error::Cycle { members: vec!["a".into()] });
}

#[test]
fn a_circle_through_from_and_copy_is_an_error() {
    let images = vec![
        usual("a", "b:1.0"),
        literal("b", "FROM scratch\nCOPY --from=c:1.0 /x /x\n"),
        usual("c", "a:1.0"),
        usual("leaf", "a:1.0"),
    ];
    let error = Bench::of(images).try_plan().unwrap_err();
    assert!(error.to_string().contains("a → b → c → a"), "{error}");
    let twice = Bench::of(vec![usual("a", "debian:1"), usual("a", "debian:2")]);
    assert!(matches!(twice.try_plan(), Err(Error::Duplicate { .. })));
}

#[test]
fn children_of_a_broken_image_wait_for_it() {
    let mut bench = Bench::of(vec![usual("app", "os/base:3"), usual("leaf", "app:1.0")]);
    bench.broken.push(BrokenImage {
        name: "os/base".into(),
        folder: "images/base".into(),
        owners: Vec::new(),
        violations: vec![Violation {
            file: "images/base/Dockerfile".into(),
            line: 3,
            rule: "dockerfile.label".into(),
            severity: Level::Hard,
            message: "LABEL is not allowed".into(),
            help: String::new(),
        }],
    });
    let plan = bench.plan();
    assert_eq!(names(&plan), ["app", "leaf"]);
    assert_eq!(find(&plan, "app").after, ["os/base"]);
    assert_eq!(find(&plan, "leaf").after, ["app"]);
    assert!(plan.outside.is_empty());
    let error = bench.on_demand(&["os/base"], false).try_plan().unwrap_err();
    assert!(error.to_string().contains("images/base/Dockerfile:3 LABEL"), "{error}");
}

#[test]
fn triggers_of_bases_are_needed_too() {
    let parent = "FROM scratch\nONBUILD COPY --from=tool:1.0 /a /a\nONBUILD RUN --mount=type=bind,from=more:2 x\n";
    let images = vec![
        literal("parent", parent),
        usual("tool", "debian:12"),
        usual("app", "parent:1.0"),
        usual("far", "debian:12"),
    ];
    let mut bench = Bench::of(images).with_daemon(&[("debian:12", "sha256:1")]);
    bench.onbuild.insert("debian:12".into(), vec!["COPY --from=parent:1.0 / /".into()]);
    let plan = bench.plan();
    assert_eq!(find(&plan, "app").after, ["parent", "tool"]);
    assert_eq!(find(&plan, "app").bases.len(), 1);
    assert!(find(&plan, "app").parts.outside.contains_key("more:2"));
    assert_eq!(find(&plan, "far").after, ["parent"]);
    assert!(find(&plan, "parent").after.is_empty());
}

#[test]
fn platforms() {
    let planned = |arch: &[&str], text: &str| {
        let mut app = literal("app", text);
        app.manifest.architecture = arch.iter().map(|a| (*a).to_owned()).collect();
        let plan = Bench::of(vec![app]).plan();
        (plan.images[0].platform.clone(), plan.images[0].parts.platform.clone())
    };
    let some = |text: &str| (Some(text.to_owned()), text.to_owned());
    let none = (None, "linux/amd64".to_owned());
    assert_eq!(planned(&["arm64", "x86"], "FROM a\n"), some("linux/arm64"));
    assert_eq!(planned(&["x86"], "FROM --platform=linux/arm64 a\n"), some("linux/amd64"));
    assert_eq!(planned(&[], "FROM --platform=linux/arm64 a\n"), some("linux/arm64"));
    assert_eq!(planned(&[], "FROM --platform=$BUILDPLATFORM a\n"), none);
    assert_eq!(planned(&[], "FROM --platform=$TARGETPLATFORM a\n"), none);
    assert_eq!(planned(&[], "FROM a\n"), none);
}

fn family() -> Bench {
    let mut app = usual("app", "os/base:1.0");
    app.manifest.resources.push(Resource {
        kind: ResourceKind::File("f.tar".into()),
        urls: vec!["https://e.org/f.tar".into()],
        checksum: Some(Checksum {
            algorithm: crate::model::manifest::Algorithm::Sha256,
            hex: "aa".into(),
        }),
        auth: None,
        line: 1,
    });
    let images = vec![app, usual("os/base", "debian:12"), usual("leaf", "app:1.0")];
    Bench::of(images).with_daemon(&[("debian:12", "sha256:1111111111111111")])
}

/// The reason of `name` on a second night before which something changed.
fn second(rebuild: Rebuild, name: &str, change: impl Fn(&mut Bench)) -> (String, bool) {
    let mut bench = family().next_night();
    bench.build.rebuild = rebuild;
    change(&mut bench);
    bench.reasons().remove(name).unwrap()
}

fn moved(bench: &mut Bench) {
    bench
        .outside
        .values_mut()
        .for_each(|base| base.digest = Some("sha256:2222222222222222".into()));
}

#[test]
fn every_reason_of_a_rebuild() {
    use Rebuild::{Always, WhenInputsChange};
    let first = family().reasons();
    assert!(first.values().all(|(reason, reuse)| reason == "first build" && !reuse));
    for rebuild in [Always, WhenInputsChange] {
        let of = |name: &str, change: &dyn Fn(&mut Bench)| {
            let (reason, reuse) = second(rebuild, name, change);
            assert!(!reuse);
            reason
        };
        let context = |b: &mut Bench| drop(b.contexts.insert("app".into(), "new".into()));
        assert_eq!(of("app", &context), "source changed: context");
        assert!(of("leaf", &context).starts_with("base moved: app "));
        let manifest = |b: &mut Bench| {
            b.images[0].manifest_sha256 = "new".into();
            b.images[0].manifest.args.insert("X".into(), "1".into());
        };
        assert_eq!(of("app", &manifest), "source changed: manifest, arguments");
        assert_eq!(of("os/base", &moved), "base moved: debian:12 111111111111 → 222222222222");
        assert!(of("app", &moved).starts_with("base moved: os/base "));
        assert!(of("leaf", &moved).starts_with("base moved: app "));
        let input = |b: &mut Bench| {
            let sum = b.images[0].manifest.resources[0].checksum.as_mut().unwrap();
            sum.hex = "bb".into();
        };
        assert_eq!(of("app", &input), "input changed: f.tar");
        let failed = |b: &mut Bench| b.last.get_mut("app").unwrap().succeeded = false;
        assert_eq!(of("app", &failed), "last build did not succeed");
        let lost = |b: &mut Bench| {
            b.outside.values_mut().for_each(|base| base.digest = None);
        };
        assert_eq!(of("os/base", &lost), "base moved: debian:12 111111111111 → unknown");
        let other_name = |b: &mut Bench| {
            b.outside.values_mut().for_each(|base| base.reference = "docker.io/debian:12".into());
        };
        assert!(of("os/base", &other_name).starts_with("base moved: docker.io/debian:12 "));
    }
    let never = second(Always, "app", |b| {
        let last = b.last.get_mut("app").unwrap();
        (last.succeeded, last.key, last.parts) = (false, String::new(), Default::default());
    });
    assert_eq!(never, ("first build".into(), false));
    let same = second(Always, "app", |_| {});
    assert_eq!(same, ("forced by schedule".into(), false));
}

#[test]
fn reuse_only_with_proof() {
    let of =
        |name: &str, change: &dyn Fn(&mut Bench)| second(Rebuild::WhenInputsChange, name, change);
    for name in ["os/base", "app", "leaf"] {
        assert_eq!(of(name, &|_| {}), ("unchanged since night N1".into(), true));
    }
    let gone = |b: &mut Bench| b.last.get_mut("app").unwrap().exists = false;
    assert_eq!(of("app", &gone), ("cannot be reused: the image of night N1 is gone".into(), false));
    assert_eq!(of("leaf", &gone), ("cannot be reused: its parent app is built anew".into(), false));
    assert!(of("os/base", &gone).1);
    let mut bench = family();
    bench.images[0].manifest.resources[0].checksum = None;
    bench.build.rebuild = Rebuild::WhenInputsChange;
    let reasons = bench.next_night().reasons();
    assert_eq!(reasons["app"].0, "cannot be reused: input f.tar has no checksum");
    let mut bench = Bench::of(vec![usual("os/base", "debian:12")]).next_night();
    bench.build.rebuild = Rebuild::WhenInputsChange;
    assert!(!bench.reasons()["os/base"].1);
}

#[test]
fn a_request_takes_what_it_needs_and_no_more() {
    let all = family().next_night();
    let alone = all.on_demand(&["app"], false);
    let plan = alone.plan();
    assert_eq!(names(&plan), ["app"]);
    assert_eq!(plan.images[0].reason, Reason::Requested { by: "ada".into() });
    assert!(plan.images[0].after.is_empty());
    assert_eq!(plan.images[0].parts.parents["os/base"], alone.last["os/base"].key);
    assert!(plan.outside.is_empty());

    let plan = family().next_night().on_demand(&["os/base"], true).plan();
    assert_eq!(names(&plan), ["os/base", "app", "leaf"]);
    assert!(plan.images.iter().all(|p| matches!(p.reason, Reason::Requested { .. })));

    let mut bench = family().next_night().on_demand(&["leaf"], false);
    bench.last.get_mut("app").unwrap().succeeded = false;
    let plan = bench.plan();
    assert_eq!(names(&plan), ["app", "leaf"]);
    assert_eq!(find(&plan, "app").reason, Reason::Retry);
    assert_eq!(find(&plan, "leaf").after, ["app"]);

    let plan = family().on_demand(&["leaf"], false).plan();
    assert_eq!(names(&plan), ["os/base", "app", "leaf"]);
}

#[test]
fn a_child_built_alone_stands_on_the_last_build_of_its_parent() {
    let mut bench = family().next_night();
    moved(&mut bench);
    let old = bench.last["os/base"].key.clone();
    let plan = bench.on_demand(&["app"], false).plan();
    assert_eq!(plan.images[0].parts.parents["os/base"], old);
}

#[test]
fn an_unknown_name_is_met_with_the_nearest() {
    let error = family().on_demand(&["os/bas"], false).try_plan().unwrap_err();
    assert!(error.to_string().contains("no image os/bas in the repository; did you mean os/base"));
    let error = family().on_demand(&["zzz"], false).try_plan().unwrap_err();
    assert_eq!(error.to_string(), "no image zzz in the repository");
}

#[test]
fn a_frontend_does_not_slip_in_as_an_argument() {
    let mut app = usual("app", "debian:12");
    app.manifest.args.insert("BUILDKIT_SYNTAX".into(), "evil/frontend".into());
    let plan = Bench::of(vec![app]).plan();
    assert!(!plan.images[0].args.contains_key("BUILDKIT_SYNTAX"));
}

#[test]
fn an_empty_repository_has_an_empty_plan() {
    let plan = Bench::of(Vec::new()).plan();
    assert!(plan.images.is_empty() && plan.outside.is_empty());
    assert!(outside(&[], "r", None).unwrap().is_empty());
}

#[test]
fn the_plan_is_the_same_whatever_the_order_of_the_folders() {
    let forward = family();
    let mut backward = family();
    backward.images.reverse();
    assert_eq!(forward.plan(), backward.plan());
}
