//! A Dockerfile as far as the graph, the lint and the rewriting of its bases need it.

use std::ops::Range;

/// A parsed Dockerfile; every `span` is a byte range of [`Dockerfile::text`], every `line` counts from 1.
#[derive(Debug, Clone, Default)]
pub struct Dockerfile {
    /// The file as it was read.
    pub text: String,
    /// The `# syntax=` parser directive.
    pub syntax: Option<Spanned>,
    /// `ARG` instructions before the first `FROM`, in order.
    pub args: Vec<Arg>,
    /// The build stages, in order; the last one is the image.
    pub stages: Vec<Stage>,
}

/// A piece of the text and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned {
    /// The value with line continuations and escapes of the parser resolved, variables unexpanded.
    pub value: String,
    /// Where the value stands in the text.
    pub span: Range<usize>,
    /// Its line.
    pub line: usize,
}

/// One `ARG name[=default]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// The variable's name.
    pub name: String,
    /// Its default, quotes removed, variables unexpanded.
    pub default: Option<String>,
    /// Its line.
    pub line: usize,
}

/// One build stage.
#[derive(Debug, Clone)]
pub struct Stage {
    /// `FROM … AS name`, lower case.
    pub name: Option<String>,
    /// `FROM --platform=…`, unexpanded.
    pub platform: Option<String>,
    /// The image of the `FROM`, unexpanded.
    pub from: Spanned,
    /// `ARG` instructions inside the stage, in order.
    pub args: Vec<Arg>,
    /// Images or stages that `COPY --from`, `ADD --from` and `RUN --mount=…,from=` name, unexpanded.
    pub uses: Vec<Spanned>,
    /// Sources of `COPY` and `ADD` from the context, unexpanded.
    pub copies: Vec<Spanned>,
    /// Triggers left for children, whole instructions.
    pub onbuild: Vec<Spanned>,
    /// The argument of the last `USER`.
    pub user: Option<Spanned>,
    /// Whether a `HEALTHCHECK` other than `NONE` stands in the stage.
    pub healthcheck: bool,
    /// Lines of `LABEL` instructions.
    pub labels: Vec<usize>,
    /// Lines of `ADD` instructions.
    pub adds: Vec<usize>,
}
