//! One build from the context to the image.

use tokio_util::sync::CancellationToken;

use super::{Daemon, Error};
use crate::model::build::{BuildEnd, BuildJob};

impl Daemon {
    /// Builds `job`; `progress` gets one line per step. Cancelling stops the daemon's work too.
    ///
    /// # Errors
    /// Where the daemon could not do its part; a build that fails is [`BuildEnd::Failed`].
    pub async fn build(
        &self,
        job: &BuildJob,
        progress: &(dyn Fn(String) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<BuildEnd, Error> {
        let _ = (job, progress, cancel);
        todo!()
    }
}
