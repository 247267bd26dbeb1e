//! What the connection callback may answer, and what becomes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use session_core::{
    Connection, Error, ErrorKind, MemoryProvider, Operation, RequestContext, Result, Session, SessionId,
    SessionManager, SessionManagerBuilder,
};
use session_serde::Json;

use crate::common::{Call, Manager, Path, Side, create, manager};
use crate::farm::Farm;

/// What the callback shall answer to a request.
type Answer = Arc<dyn Fn() -> Result<Connection> + Send + Sync>;

fn builder(farm: &Arc<Farm>) -> SessionManagerBuilder<Json> {
    SessionManager::builder(MemoryProvider::new(), Json)
        .connection("ready", farm.database("ready", 0))
        .connection_with_options("given", farm.options("given"))
        .connection_callback(|context, _| context.get::<Answer>().map_or_else(|| Ok(Connection::default()), |it| it()))
}

fn answering(answer: impl Fn() -> Result<Connection> + Send + Sync + 'static) -> RequestContext {
    let answer: Answer = Arc::new(answer);
    RequestContext::new(answer)
}

/// What a request gets for which the callback answers this: nothing, or kind and connection of the error.
async fn open(manager: &Manager, connection: Connection) -> Result<(), (ErrorKind, Option<String>)> {
    let opened = manager.open(&answering(move || Ok(connection.clone())), None).await;
    opened.map(|_| ()).map_err(|error| {
        assert_eq!(error.operation(), Operation::Route, "{error}");
        (error.kind(), error.connection().map(str::to_owned))
    })
}

fn refused<T>(kind: ErrorKind, connection: &str) -> Result<T, (ErrorKind, Option<String>)> {
    Err((kind, Some(connection.to_owned())))
}

#[tokio::test]
async fn each_is_opened_once_and_shared() {
    let farm = Farm::new();
    let manager = builder(&farm).build().unwrap();
    assert_eq!(farm.take_opened(), [("given", 0)], "its settings are checked when the manager is built");
    let options = farm.options("new");
    let new = Connection::named("new").with_options(options.clone());
    for _ in 0..3 {
        for connection in [
            Connection::default(),
            "ready".into(),
            "given".into(),
            Connection::named("given").with_database(1),
            Connection::named("given").with_options(farm.options("given")).with_database(1),
            new.clone(),
            new.clone().with_database(3),
            // The same options made anew.
            Connection::named(String::from("new")).with_options(options.clone()).with_database(3),
        ] {
            open(&manager, connection.clone()).await.unwrap_or_else(|error| panic!("{connection:?}: {error:?}"));
        }
    }
    assert_eq!(farm.take_opened(), [("given", 1), ("new", 0), ("new", 3)]);
    let names: Vec<String> = manager.connections().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["default", "ready", "given", "given/1", "new", "new/3"]);
}

#[tokio::test]
async fn a_database_is_the_same_whether_chosen_or_named_by_the_options() {
    let farm = Farm::new();
    let manager = builder(&farm).build().unwrap();
    let connection = Connection::named("new").with_options(farm.options("new").naming_database(2));
    let mut ids = Vec::new();
    for connection in [connection.clone(), connection.with_database(2)] {
        let context = answering(move || Ok(connection.clone()));
        let session = manager.open(&context, ids.first()).await.unwrap();
        session.increment("n", 1).unwrap();
        assert!(session.close().await.result.is_ok());
        ids.push(session.id().unwrap());
    }
    assert_eq!(ids[0], ids[1]);
    assert_eq!(manager.live_sessions(), 1);
    assert_eq!(manager.connections().last().map(|name| &**name), Some("new/2"));
}

#[tokio::test]
async fn one_name_has_one_set_of_options() {
    let farm = Farm::new();
    let manager = builder(&farm).build().unwrap();
    let new = Connection::named("new").with_options(farm.options("new"));
    open(&manager, new.clone()).await.unwrap();
    let others = Connection::named("new").with_options(farm.options("elsewhere"));
    for connection in [others.clone(), others.with_database(1)] {
        assert_eq!(open(&manager, connection).await, refused(ErrorKind::Config, "new"));
    }
    for name in ["given", "ready", "default"] {
        let others = Connection::named(name).with_options(farm.options("elsewhere"));
        assert_eq!(open(&manager, others).await, refused(ErrorKind::Config, name));
    }
    // A provider has no other databases.
    let database = Connection::named("ready").with_database(1);
    assert_eq!(open(&manager, database).await, refused(ErrorKind::Config, "ready"));
    assert_eq!(open(&manager, new).await, Ok(()), "the others go on");
}

#[tokio::test]
async fn what_cannot_be_opened_is_refused() {
    let farm = Farm::new();
    let manager = builder(&farm).build().unwrap();
    assert_eq!(open(&manager, "unknown".into()).await, refused(ErrorKind::KeyCallback, "unknown"));
    // The name alone is not enough for one that the callback has opened, whoever comes first.
    open(&manager, Connection::named("new").with_options(farm.options("new"))).await.unwrap();
    assert_eq!(open(&manager, "new".into()).await, refused(ErrorKind::KeyCallback, "new"));
    let long = Connection::named("n".repeat(256)).with_options(farm.options("new"));
    assert_eq!(open(&manager, long).await, Err((ErrorKind::KeyCallback, None)));
    let wrong = Connection::named("given").with_database(16);
    assert_eq!(open(&manager, wrong).await, refused(ErrorKind::Config, "given"));
    let panicking = farm.options("panics").panicking();
    let panicking = Connection::named("panics").with_options(panicking);
    assert_eq!(open(&manager, panicking).await, refused(ErrorKind::KeyCallback, "panics"));
    assert_eq!(open(&manager, "given".into()).await, Ok(()), "the others go on");
}

/// Two names for one server, as a mistake in the settings makes them: as little is lost as between two processes.
#[tokio::test]
async fn two_names_of_one_place_are_two_writers() {
    let path = Path::new();
    let manager = SessionManager::builder(path.clone(), Json)
        .connection("again", path.clone())
        .connection_callback(|context, _| context.get::<Answer>().map_or_else(|| Ok(Connection::default()), |it| it()))
        .build()
        .unwrap();
    let (first, id) = create(&manager).await;
    let second = manager.open(&answering(|| Ok("again".into())), Some(&id)).await.unwrap();
    first.insert("theme", "dark").unwrap();
    first.increment("visits", 1).unwrap();
    let stop = path.stop(Call::Commit, Side::Before);
    let held_up = tokio::spawn(async move { first.commit().await });
    stop.reached().await;
    second.increment("visits", 10).unwrap();
    assert!(second.close().await.result.is_ok());
    stop.go_on();
    held_up.await.unwrap().unwrap();
    let session = open_in(&Path::to(&path.memory), &id).await;
    assert_eq!(session.get::<String>("theme").unwrap().as_deref(), Some("dark"));
    assert_eq!(session.get::<i64>("visits").unwrap(), Some(12));
}

/// As another process finds it.
async fn open_in(path: &Arc<Path>, id: &SessionId) -> Session<Json> {
    manager(path).open(&RequestContext::default(), Some(id)).await.unwrap()
}

#[tokio::test]
async fn a_callback_that_fails_is_an_error_that_tells_nothing() {
    for throw_on_error in [true, false] {
        let path = Path::new();
        let manager = SessionManager::builder(path.clone(), Json)
            .throw_on_error(throw_on_error)
            .connection_callback(|context, _| {
                let Some(answer) = context.get::<Answer>() else { panic!("with sesame") };
                answer()
            })
            .build()
            .unwrap();
        let failing = answering(|| Err(Error::new(ErrorKind::Unavailable, Operation::Load, "of sesame's own")));
        let id = SessionId::generate().unwrap();
        for context in [RequestContext::default(), failing] {
            let error = match manager.open(&context, Some(&id)).await {
                Err(error) => error,
                Ok(session) => {
                    assert!(!throw_on_error && session.is_degraded());
                    assert_eq!(session.get::<String>("theme").unwrap(), None);
                    session.insert("theme", "dark").unwrap();
                    assert!(session.close().await.result.is_ok());
                    assert!(session.last_error().unwrap().to_string().contains("is lost"));
                    let asked = manager.capabilities(&context, Some(&id)).unwrap_err();
                    assert_eq!(asked.kind(), ErrorKind::KeyCallback);
                    continue;
                }
            };
            assert!(throw_on_error);
            assert_eq!((error.kind(), error.operation()), (ErrorKind::KeyCallback, Operation::Route));
            assert!(!error.to_string().contains("sesame") && !format!("{error:?}").contains(&id.expose()), "{error:?}");
        }
        assert_eq!(path.take_calls(), [], "no server is asked");
    }
}

#[tokio::test]
async fn a_callback_that_makes_up_names_is_stopped() {
    let farm = Farm::new();
    let number = AtomicUsize::new(0);
    let options = farm.options("new");
    let manager = builder(&farm)
        .max_connections(5)
        .connection_callback(move |_, _| {
            let number = number.fetch_add(1, Ordering::SeqCst);
            Ok(if number.is_multiple_of(3) {
                Connection::named("given").with_database(1)
            } else {
                Connection::named(format!("new {number}")).with_options(options.clone())
            })
        })
        .build()
        .unwrap();
    let mut kinds = Vec::new();
    for _ in 0..300 {
        let error = manager.open(&RequestContext::default(), None).await.err();
        kinds.extend(error.map(|error| {
            assert!(error.to_string().contains("`max_connections`"), "{error}");
            error.kind()
        }));
    }
    // One database of the given one and four others are open, and remain so.
    assert_eq!(kinds, [ErrorKind::KeyCallback; 196]);
    assert_eq!(manager.connections().len(), 3 + 5);
    let opened = farm.take_opened().into_iter().filter(|(address, _)| *address == "new").count();
    assert_eq!(opened, 4, "nothing is opened for what is refused");
    let none = builder(&farm).max_connections(0).build().unwrap();
    assert_eq!(open(&none, "given".into()).await, Ok(()));
    let database = Connection::named("given").with_database(1);
    assert_eq!(open(&none, database).await, refused(ErrorKind::KeyCallback, "given"));
}

#[tokio::test]
async fn capabilities_are_those_of_the_chosen_connection() {
    let farm = Farm::new();
    let manager = builder(&farm).build().unwrap();
    let of = |connection: Connection| {
        manager.capabilities(&answering(move || Ok(connection.clone())), None).map(|it| it.operation_timeout.as_secs())
    };
    assert_eq!((of(Connection::default()).unwrap(), of("ready".into()).unwrap()), (1, 3600));
    assert_eq!(of("unknown".into()).unwrap_err().kind(), ErrorKind::KeyCallback);
}

#[test]
fn wrong_settings_are_named() {
    let farm = Farm::new();
    let wrong = |builder: SessionManagerBuilder<Json>| {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    };
    for name in ["given", "ready", "default"] {
        let error = wrong(builder(&farm).connection_with_options(name, farm.options("given")));
        assert!(error.contains(&format!("{name:?} is given twice")), "{error}");
    }
    let error = wrong(builder(&farm).connection_with_options("new", farm.options("new").naming_database(16)));
    assert!(error.contains("\"new\"") && error.contains("`database`"), "{error}");
    assert!(wrong(builder(&farm).max_connections(65_537)).contains("max_connections"));
    assert!(wrong(builder(&farm).connection("n".repeat(256), MemoryProvider::new())).contains("255"));
}
