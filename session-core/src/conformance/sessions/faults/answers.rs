//! What requests are told, and whether it can be; and what is found in the end.

use std::collections::HashSet;

use super::{Must, Part, Request, Run, Task, told};
use crate::conformance::sessions::process;
use crate::conformance::sessions::promises::{Promises, Told, View};
use crate::conformance::{Life, NotPossible, Subject};
use crate::context::RequestContext;
use crate::error::{Effect, Error, ErrorKind, Result};
use crate::id::SessionId;
use crate::serializer::SessionSerializer;
use crate::session::{Closed, Session};

impl<S: SessionSerializer> Run<S> {
    /// Takes the answers of whatever has ended.
    pub(super) async fn collect(&mut self) {
        let mut index = 0;
        while index < self.tasks.len() {
            if self.tasks[index].is_finished() {
                let task = self.tasks.remove(index);
                self.finished(task).await;
            } else {
                index += 1;
            }
        }
        self.notice_ids();
    }

    async fn finished(&mut self, task: Task<S>) {
        match task {
            Task::Open { process, of, id, seen, must, run } => {
                let opened = run.await.expect("an open that does not panic");
                self.opened(process, of, id, seen, must, opened);
            }
            Task::Commit { part, run } => {
                let result = run.await.expect("a commit that does not panic");
                self.journal.note(format_args!("request {} has committed: {}", part.name, told(&result)));
                self.told(&part, result);
            }
            Task::Close { part, run } => {
                let closed = run.await.expect("a close that does not panic");
                self.closed(&part, closed);
            }
        }
    }

    fn opened(
        &mut self,
        process: usize,
        of: Option<usize>,
        id: Option<SessionId>,
        seen: HashSet<usize>,
        must: Must,
        opened: Result<Session<S>>,
    ) {
        let session = match opened {
            Ok(session) => session,
            Err(error) => {
                self.journal.note(format_args!("process {process} could not open: {error}"));
                return check_kind(&error, &[]);
            }
        };
        let name = self.named;
        self.named += 1;
        let found = session.id();
        self.journal.note(format_args!("request {name}: opened, found: {}", found.is_some()));
        self.notice_ids();
        let (of, seen) = match (of, found, id) {
            (Some(of), Some(_), _) => {
                assert!(must != Must::NotWork, "request {name}: an id that has ended works");
                (of, seen)
            }
            (Some(of), None, Some(id)) => {
                let must_work = must == Must::Work && self.sessions[of].must_work(&id);
                assert!(!must_work, "request {name}: an id that works was not found");
                if !session.is_new() {
                    assert!(session.is_empty().expect("readable"), "what has ended reads as empty");
                    return;
                }
                (self.new_session(), HashSet::new())
            }
            _ => (self.new_session(), HashSet::new()),
        };
        let request = Request {
            name,
            process,
            session,
            of,
            changes: Vec::new(),
            seen,
            rotates: false,
            destroys: None,
            busy: false,
        };
        self.requests.push(request);
        self.look();
    }

    fn new_session(&mut self) -> usize {
        self.sessions.push(Promises::default());
        self.sessions.len() - 1
    }

    fn closed(&mut self, part: &Part, closed: Closed) {
        self.journal.note(format_args!("request {} has closed: {}", part.name, told(&closed.result)));
        self.told(part, closed.result);
        self.requests.retain(|request| request.name != part.name);
    }

    /// What a request was told of what it had done.
    fn told(&mut self, part: &Part, result: Result<()>) {
        self.notice_ids();
        let Some(request) = self.requests.iter_mut().find(|request| request.name == part.name) else { return };
        request.busy = false;
        // What it has destroyed meanwhile it did not want to be made any more.
        let concerned = if request.of == part.of { part.changes.as_slice() } else { &[] };
        let entries = &mut self.sessions[part.of].changes;
        match result {
            Ok(()) => {
                for change in concerned {
                    if entries[*change].told == Told::Unsure {
                        entries[*change].told = Told::Made;
                    }
                }
                if part.rotates && request.rotates {
                    request.rotates = false;
                    self.sessions[part.of].open_rotations -= 1;
                }
                if part.destroys
                    && let Some((of, id)) = request.destroys.take()
                {
                    self.dead.insert(id);
                    // Nobody can have moved it elsewhere.
                    let session = &mut self.sessions[of];
                    if session.open_rotations == 0 && session.ids.last() == Some(&id) {
                        session.dead = true;
                    }
                }
            }
            Err(error) => {
                check_kind(&error, &[ErrorKind::Gone, ErrorKind::Conflict]);
                if !error.kind().is_retryable() && request.of == part.of {
                    // It concerns what was changed since the commit began, too, and is told once.
                    request.changes.clear();
                }
                if error.effect() == Effect::NotApplied {
                    for change in concerned {
                        if entries[*change].told == Told::Unsure {
                            entries[*change].told = Told::NotMade;
                        }
                    }
                }
            }
        }
    }

    /// Whoever has an id of a session that nobody knew shows it to the client.
    fn notice_ids(&mut self) {
        for request in &self.requests {
            let Some(id) = request.session.id() else { continue };
            let ids = &mut self.sessions[request.of].ids;
            if !ids.contains(&id) {
                self.dead.extend(ids.iter());
                self.journal.note(format_args!("session {} has id {}", request.of, ids.len()));
                ids.push(id);
            }
        }
    }

    /// Lets everything end, and compares what is stored with what was promised.
    pub(super) async fn finish(mut self, subject: &dyn Subject) {
        self.journal.note(format_args!("everything ends"));
        self.chaos.calm();
        for task in std::mem::take(&mut self.tasks) {
            self.finished(task).await;
        }
        while let Some(request) = self.requests.first() {
            let (part, session) = (request.part(), request.session.clone());
            let closed = session.close().await;
            self.closed(&part, closed);
        }
        for process in &self.processes {
            process.shutdown().await;
            if !self.keeps && !self.sessions.iter().any(|it| it.doomed) {
                assert_eq!(process.live_sessions(), 0, "somebody still holds a session");
            }
        }
        while self.chaos.count_late() > 0 {
            self.chaos.execute_late(0).await;
        }
        self.compare().await;
        for key in self.chaos.keys() {
            match subject.life(&key).await {
                Ok(life) => assert_ne!(life, Life::Endless, "a session without an expiry"),
                Err(NotPossible(why)) => panic!("{why}"),
            }
        }
    }

    async fn compare(&self) {
        // A process that knows nothing yet.
        let reader = process(self.chaos.clone(), &self.codec, false).build().expect("settings that can be");
        for promises in &self.sessions {
            for id in &promises.ids {
                let session = reader.open(&RequestContext::default(), Some(id)).await.expect("an answer");
                let works = session.id().is_some();
                assert!(!(works && (promises.dead || self.dead.contains(id))), "an id that has ended works again");
                assert!(works || !promises.must_work(id), "the session is lost");
                if works {
                    let view = View::of(&session, self.processes.len()).expect("a readable session");
                    promises.check_stored(&view, self.processes.len());
                }
            }
        }
    }
}

fn check_kind(error: &Error, more: &[ErrorKind]) {
    let kind = error.kind();
    assert!(kind.is_retryable() || more.contains(&kind), "an error that nothing can have caused: {error}");
}
