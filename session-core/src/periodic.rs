//! What is done every so often as long as there is a manager.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle as Runtime;

use crate::on_drop::OnDrop;
use crate::shared::Shared;

impl Shared {
    /// Starts what is not running yet. Does nothing outside a runtime.
    pub(crate) fn start_periodic_tasks(self: &Arc<Self>) {
        if !self.settings.keep_for.is_zero() {
            self.every(self.settings.check_interval, |shared| &shared.sweeping, |shared| shared.table.sweep());
        }
        if self.delivery.is_some() && !self.settings.figures_interval.is_zero() {
            self.every(self.settings.figures_interval, |shared| &shared.figures.running, Self::tell_figures);
        }
    }

    /// Tells the observers what went over each connection since the last time.
    pub(crate) fn tell_figures(&self) {
        if let Some(delivery) = &self.delivery {
            self.figures.tell(&self.routing.stores.all(), delivery);
        }
    }

    /// Runs this every so often until the last manager is gone, of which it holds none. Another runtime starts it anew
    /// should this one end.
    fn every(self: &Arc<Self>, interval: Duration, running: fn(&Self) -> &AtomicBool, run: fn(&Self)) {
        if running(self).load(Ordering::Relaxed) {
            return;
        }
        let Ok(runtime) = Runtime::try_current() else { return };
        if running(self).swap(true, Ordering::Relaxed) {
            return;
        }
        let shared = Arc::downgrade(self);
        let stopped = OnDrop::new({
            let shared = shared.clone();
            move || {
                if let Some(shared) = shared.upgrade() {
                    running(&shared).store(false, Ordering::Relaxed);
                }
            }
        });
        runtime.spawn(async move {
            let _stopped = stopped;
            loop {
                tokio::time::sleep(interval).await;
                match shared.upgrade() {
                    Some(shared) => run(&shared),
                    None => return,
                }
            }
        });
    }
}
