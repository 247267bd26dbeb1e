//! Sessions that pass their size limit.

use std::sync::{Arc, Mutex};

use session_core::{
    Error, ErrorKind, Fingerprint, OversizeAt, RequestContext, Session, SessionId, SizeAction, SizeHandler,
};
use session_serde::Json;

use crate::common::{Call, Manager, Path, Side, builder, create, manager, open};

const LIMIT: usize = 200;

/// A process with this limit and handler.
fn limited(path: &Arc<Path>, limit: usize, handler: SizeHandler) -> Manager {
    builder(path).max_session_bytes(limit).size_handler(handler).build().unwrap()
}

/// A stored session of about so many bytes: `theme`, `visits` and `bulk`.
async fn stored(path: &Arc<Path>, bytes: usize) -> SessionId {
    let (session, id) = create(&manager(path)).await;
    session.insert("bulk", &"x".repeat(bytes)).unwrap();
    session.commit().await.unwrap();
    path.take_commits();
    id
}

fn names(session: &Session<Json>) -> Vec<String> {
    let mut names = session.names().unwrap();
    names.sort();
    names
}

/// What another process reads.
async fn names_stored(path: &Arc<Path>, id: &SessionId) -> Vec<String> {
    names(&open(&manager(&Path::to(&path.memory)), id).await)
}

fn kind<T>(result: Result<T, Error>) -> ErrorKind {
    result.err().expect("it is refused").kind()
}

type Change = fn(&Session<Json>) -> Result<(), Error>;

/// Each makes the attribute `new` some 30 bytes long.
const CHANGES: [Change; 2] = [
    |session| session.insert("new", &"n".repeat(30)),
    |session| session.update("new", |new: &mut String| new.push_str(&"n".repeat(30))),
];

#[tokio::test]
async fn cleared_at_the_change_that_would_pass_the_limit() {
    for change in CHANGES {
        let path = Path::new();
        let id = stored(&path, 150).await;
        let here = limited(&path, LIMIT, SizeHandler::clear());
        let (session, another) = (open(&here, &id).await, open(&here, &id).await);
        another.insert("theme", "other").unwrap();
        change(&session).unwrap();
        assert_eq!(names(&session), ["new"]);
        assert_eq!(names(&another), ["new"], "all requests of the session see it");
        assert_eq!(names_stored(&path, &id).await, ["bulk", "theme", "visits"], "nothing was committed yet");
        session.close().await.result.unwrap();
        assert_eq!(names_stored(&path, &id).await, ["new"], "they are deleted");
        another.close().await.result.unwrap();
        assert_eq!(names_stored(&path, &id).await, ["new"]);
    }
}

#[tokio::test]
async fn a_counter_is_kept_when_it_makes_the_session_too_large() {
    let path = Path::new();
    let id = stored(&path, 150).await;
    let size = "themevisitsbulk".len() + "\"light\"1".len() + 152;
    let session = open(&limited(&path, size, SizeHandler::clear()), &id).await;
    assert_eq!(session.increment("visits", 1).unwrap(), 2, "no larger than before");
    assert_eq!(session.increment("visits", 8).unwrap(), 10);
    assert_eq!(names(&session), ["visits"]);
    session.commit().await.unwrap();
    assert_eq!(path.take_written().concat(), ["bulk-", "theme-", "visits+9"]);
    // Another limit: the counter refused, as all else.
    let refusing = limited(&path, 7, SizeHandler::refuse());
    let session = open(&refusing, &id).await;
    assert_eq!(kind(session.increment("visits", 90)), ErrorKind::TooLarge);
    assert_eq!(session.get::<i64>("visits").unwrap(), Some(10));
}

#[tokio::test]
async fn nothing_is_cleared_for_what_does_not_fit_by_itself() {
    for handler in [SizeHandler::clear(), SizeHandler::refuse(), SizeHandler::default()] {
        let path = Path::new();
        let id = stored(&path, 150).await;
        let session = open(&limited(&path, LIMIT, handler), &id).await;
        assert_eq!(kind(session.insert("new", &"n".repeat(LIMIT))), ErrorKind::TooLarge);
        assert_eq!(
            kind(session.update("theme", |theme: &mut String| theme.push_str(&"n".repeat(LIMIT)))),
            ErrorKind::TooLarge
        );
        assert_eq!(session.get::<String>("theme").unwrap().as_deref(), Some("light"));
        session.close().await.result.unwrap();
        assert_eq!(path.take_commits(), []);
        assert_eq!(names_stored(&path, &id).await, ["bulk", "theme", "visits"]);
    }
}

#[tokio::test]
async fn a_session_that_is_not_stored_yet_is_cleared_too() {
    let path = Path::new();
    let here = limited(&path, LIMIT, SizeHandler::clear());
    let session = here.open(&RequestContext::default(), None).await.unwrap();
    session.insert("bulk", &"x".repeat(180)).unwrap();
    CHANGES[0](&session).unwrap();
    session.commit().await.unwrap();
    assert_eq!(names_stored(&path, &session.id().unwrap()).await, ["new"]);
}

/// Too large when it is opened; beyond ten times the limit it is not even loaded.
#[tokio::test]
async fn cleared_when_it_is_opened() {
    for bytes in [LIMIT, 11 * LIMIT] {
        for writes in [false, true] {
            let path = Path::new();
            let id = stored(&path, bytes).await;
            let here = limited(&path, LIMIT, SizeHandler::clear());
            let session = open(&here, &id).await;
            assert_eq!(session.names().unwrap(), [""; 0]);
            if writes {
                session.insert("theme", "dark").unwrap();
            }
            let another = open(&here, &id).await;
            assert_eq!(names(&another), if writes { vec!["theme"] } else { vec![] });
            session.close().await.result.unwrap();
            let theme = if writes { "theme=\"dark\"" } else { "theme-" };
            assert_eq!(path.take_written().concat(), ["bulk-", theme, "visits-"]);
            another.close().await.result.unwrap();
            assert_eq!(path.take_commits(), []);
            let later = open(&here, &id).await;
            assert_eq!(names(&later), if writes { vec!["theme"] } else { vec![] });
            assert_eq!(path.memory.len(), 1, "the session itself goes on");
        }
    }
}

#[tokio::test]
async fn what_could_not_be_cleared_is_cleared_by_the_next() {
    for bytes in [LIMIT, 11 * LIMIT] {
        let path = Path::new();
        let id = stored(&path, bytes).await;
        let here = limited(&path, LIMIT, SizeHandler::clear());
        path.fail(Call::Commit, Side::Before, ErrorKind::Unavailable);
        let (one, two) = (open(&here, &id).await, open(&here, &id).await);
        assert_eq!(kind(one.close().await.result), ErrorKind::Unavailable);
        path.heal();
        drop(one);
        assert_eq!(two.names().unwrap(), [""; 0]);
        two.insert("theme", "dark").unwrap();
        two.close().await.result.unwrap();
        assert_eq!(names_stored(&path, &id).await, ["theme"], "it was still pending");

        let id = stored(&path, bytes).await;
        path.fail(Call::Commit, Side::Before, ErrorKind::Unavailable);
        let last = open(&here, &id).await;
        assert_eq!(kind(last.close().await.result), ErrorKind::Unavailable);
        drop(last);
        path.heal();
        assert_eq!(names_stored(&path, &id).await, ["bulk", "theme", "visits"]);
        open(&here, &id).await.close().await.result.unwrap();
        assert_eq!(names_stored(&path, &id).await, [""; 0]);
    }
}

/// Another process adds to the attribute under an update that cleared the rest, and adds another attribute.
#[tokio::test]
async fn an_update_that_cleared_runs_again_on_fresh_bytes() {
    let path = Path::new();
    let id = stored(&path, 150).await;
    let there = open(&manager(&Path::to(&path.memory)), &id).await;
    there.update("new", |new: &mut String| new.push('a')).unwrap();
    there.commit().await.unwrap();
    let session = open(&limited(&path, LIMIT, SizeHandler::clear()), &id).await;
    CHANGES[1](&session).unwrap();
    there.update("new", |new: &mut String| new.push('b')).unwrap();
    there.insert("late", "kept").unwrap();
    there.commit().await.unwrap();
    session.close().await.result.unwrap();
    assert_eq!(names_stored(&path, &id).await, ["late", "new"], "what was not seen is not cleared");
    let new = open(&manager(&path), &id).await.get::<String>("new").unwrap().unwrap();
    assert_eq!(new, format!("ab{}", "n".repeat(30)));
}

/// What a size handler was asked.
type Asked = Arc<Mutex<Vec<(Option<Fingerprint>, Option<&'static str>, usize, usize, OversizeAt)>>>;

/// Answers the same always, and notes what it was asked.
fn asking(action: SizeAction) -> (Asked, SizeHandler) {
    let asked = Asked::default();
    let notes = asked.clone();
    let handler = SizeHandler::custom(move |oversize| {
        let context = oversize.context.get::<&'static str>().copied();
        notes.lock().unwrap().push((oversize.session, context, oversize.bytes, oversize.limit, oversize.when));
        action
    });
    (asked, handler)
}

#[tokio::test]
async fn an_own_function_is_asked_with_all_that_is_known() {
    for action in [SizeAction::Refuse, SizeAction::Clear, SizeAction::Allow] {
        let path = Path::new();
        let id = stored(&path, 150).await;
        let before = "themevisitsbulk".len() + "\"light\"1".len() + 152;
        let (asked, handler) = asking(action);
        let here = limited(&path, LIMIT, handler);
        let context = RequestContext::new("of the request");
        let session = here.open(&context, Some(&id)).await.unwrap();
        let changed = CHANGES[0](&session);
        let expected = (Some(id.fingerprint()), Some("of the request"), before + 35, LIMIT, OversizeAt::Change);
        assert_eq!(std::mem::take(&mut *asked.lock().unwrap()), [expected]);
        session.close().await.result.unwrap();
        drop(session);
        let expected = match action {
            SizeAction::Refuse => {
                assert_eq!(kind(changed), ErrorKind::TooLarge);
                vec!["bulk", "theme", "visits"]
            }
            SizeAction::Clear => vec!["new"],
            SizeAction::Allow => vec!["bulk", "new", "theme", "visits"],
        };
        assert_eq!(names_stored(&path, &id).await, expected, "{action:?}");

        let tiny = limited(&path, 5, asking(action).1);
        let fresh = tiny.open(&RequestContext::default(), None).await.unwrap();
        assert_eq!(fresh.insert("new", &"n".repeat(30)).is_ok(), action == SizeAction::Allow, "{action:?}");

        let found = open(&manager(&path), &id).await.inspect::<serde_json::Value>().unwrap();
        let found: usize = found.iter().map(|attribute| attribute.name.as_bytes().len() + attribute.bytes).sum();
        let (asked, handler) = asking(action);
        let session = limited(&path, 30, handler).open(&context, Some(&id)).await.unwrap();
        let expected = (Some(id.fingerprint()), Some("of the request"), found, 30, OversizeAt::Load);
        assert_eq!(*asked.lock().unwrap(), [expected]);
        assert_eq!(session.is_empty().unwrap(), action == SizeAction::Clear);
        let reported = session.last_error().map(|error| error.kind());
        assert_eq!(reported, (action == SizeAction::Refuse).then_some(ErrorKind::TooLarge));
    }
}

#[tokio::test]
async fn nobody_can_allow_what_could_not_be_loaded_again() {
    let path = Path::new();
    let id = stored(&path, 150).await;
    let here = limited(&path, LIMIT, asking(SizeAction::Allow).1);
    let session = open(&here, &id).await;
    session.insert("new", &"n".repeat(9 * LIMIT)).unwrap();
    assert_eq!(kind(session.insert("more", &"n".repeat(LIMIT))), ErrorKind::TooLarge);
    session.close().await.result.unwrap();
    drop(session);
    let session = open(&here, &id).await;
    assert_eq!(session.get::<String>("new").unwrap().unwrap().len(), 9 * LIMIT);
    session.insert("new", &"n".repeat(8 * LIMIT)).unwrap();
    drop(session);
    here.shutdown().await;
    let tiny = limited(&path, LIMIT / 5, asking(SizeAction::Allow).1);
    let session = open(&tiny, &id).await;
    assert_eq!(kind(session.names()), ErrorKind::TooLarge, "it is not loaded whatever the handler says");
    session.destroy().unwrap();
    session.close().await.result.unwrap();
    assert_eq!(path.memory.len(), 0);
}

#[tokio::test]
async fn a_handler_that_panics_has_refused() {
    let path = Path::new();
    let id = stored(&path, 150).await;
    let here = limited(&path, LIMIT, SizeHandler::custom(|_| panic!("in the size handler")));
    let session = open(&here, &id).await;
    assert_eq!(kind(CHANGES[0](&session)), ErrorKind::TooLarge);
    assert_eq!(kind(CHANGES[1](&session)), ErrorKind::TooLarge);
    session.insert("theme", "dark").unwrap();
    session.close().await.result.unwrap();
    assert_eq!(names_stored(&path, &id).await, ["bulk", "theme", "visits"]);
}

/// A handler runs while the session is locked: what it does to the session itself is an error, no dead end.
#[tokio::test]
async fn a_handler_cannot_use_the_session() {
    let path = Path::new();
    let id = stored(&path, 150).await;
    let own: Arc<Mutex<Option<Session<Json>>>> = Arc::default();
    let seen = Arc::new(Mutex::new(None));
    let handler = SizeHandler::custom({
        let (own, seen) = (own.clone(), seen.clone());
        move |_| {
            let own = own.lock().unwrap();
            *seen.lock().unwrap() = own.as_ref().map(|own| kind(own.remove("bulk")));
            SizeAction::Refuse
        }
    });
    let here = limited(&path, LIMIT, handler);
    let session = open(&here, &id).await;
    *own.lock().unwrap() = Some(session.clone());
    assert_eq!(kind(CHANGES[0](&session)), ErrorKind::TooLarge);
    assert_eq!(*seen.lock().unwrap(), Some(ErrorKind::Closure));
    own.lock().unwrap().take();
}
