//! The end of a manager: what is still to be done is done.

use std::sync::Arc;

use tokio::runtime::Handle as Runtime;

use crate::context::RequestContext;
use crate::live::Phase;
use crate::shared::{Held, Shared};

impl Shared {
    /// Waits until everything that runs in the background is done, and what happened was told.
    pub(crate) async fn shut_down(self: &Arc<Self>) {
        self.tasks.close();
        self.tasks.wait().await;
        self.repeat_destructions();
        self.tasks.wait().await;
        if !self.settings.figures_interval.is_zero() {
            self.tell_figures();
        }
        if let Some(delivery) = &self.delivery
            && !delivery.all_told().await
        {
            tracing::warn!("the session observers were too slow to be told everything before the shutdown");
        }
    }

    /// Repeats the destructions that failed. Nobody may come to open these sessions again in this process.
    fn repeat_destructions(self: &Arc<Self>) {
        let Ok(runtime) = Runtime::try_current() else { return };
        let doomed = self.table.hold_kept(|live| live.lock().is_ok_and(|state| state.phase == Phase::Doomed));
        for live in doomed {
            let route = self.routing.route_to(&live.store, &RequestContext::default());
            let held = Held::new(self, live);
            let shared = Arc::clone(self);
            runtime.spawn(self.tasks.track_future(async move {
                if let Err(error) = shared.validate(&held.live, &route).await {
                    let subject = held.live.subject(&route);
                    Self::unheard(subject.session, &error);
                    shared.note(subject, &error);
                }
            }));
        }
    }
}
