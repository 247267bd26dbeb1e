//! Two applications with two tenants each, on two Redis servers: nothing crosses.

use secret_watch as _;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use test_support::RedisServer;

/// A running application.
struct Application {
    name: &'static str,
    address: String,
    process: Child,
}

impl Application {
    fn start(name: &'static str, tenants: &str) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_tenants"))
            .envs([("APPLICATION", name), ("PORT", "0"), ("TENANTS", tenants)])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on http://").unwrap().to_owned();
        Self { name, address, process }
    }

    /// Sends a request with this id, if any, in the cookie.
    fn ask(&self, request: &str, tenant: &str, id: Option<&str>) -> Answer {
        let cookie = id.map(|id| format!("Cookie: {}={id}\r\n", self.name)).unwrap_or_default();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let host = format!("Host: {tenant}.localhost:3000\r\n");
        write!(stream, "{request} HTTP/1.1\r\n{host}{cookie}Connection: close\r\nContent-Length: 0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let id = head.lines().find_map(|line| line.strip_prefix(&format!("set-cookie: {}=", self.name)));
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            body: body.to_owned(),
            id: id.map(|cookie| cookie.split(';').next().unwrap().to_owned()),
        }
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Answer {
    status: u16,
    body: String,
    /// That was set.
    id: Option<String>,
}

const TENANTS: [&str; 2] = ["north", "south"];

/// A session of each application and tenant, with its visits and user; then every one of them shown everywhere else.
fn nothing_crosses(servers: [&RedisServer; 2]) {
    let tenants = format!("north={} south={}", servers[0].url(), servers[1].url());
    let applications = ["shop", "blog"].map(|name| Application::start(name, &tenants));
    let mut sessions = BTreeMap::new();
    for application in &applications {
        for tenant in TENANTS {
            let first = application.ask("GET /", tenant, None);
            assert_eq!((first.status, first.body), (200, format!("{tenant}: nobody, visit 1")));
            let user = format!("{}-{tenant}", application.name);
            let login = application.ask(&format!("POST /login/{user}"), tenant, first.id.as_deref());
            assert_eq!(login.status, 200);
            sessions.insert((application.name, tenant), (login.id.unwrap(), user, 1));
        }
    }
    let mut strangers = 0;
    for at in &applications {
        for tenant in TENANTS {
            for (home, (id, ..)) in &sessions {
                if *home == (at.name, tenant) {
                    continue;
                }
                let answer = at.ask("GET /", tenant, Some(id));
                assert_eq!(answer.body, format!("{tenant}: nobody, visit 1"), "{home:?} at {} {tenant}", at.name);
                let fresh = answer.id.expect("it gets an id of its own");
                assert_ne!(fresh, *id, "an id that is unknown is not adopted");
                // Nor can it be used to end the session.
                assert_eq!(at.ask("POST /logout", tenant, Some(id)).status, 200);
                strangers += 1;
            }
        }
    }
    for application in &applications {
        for tenant in TENANTS {
            let (id, user, visits) = sessions.get_mut(&(application.name, tenant)).unwrap();
            *visits += 1;
            let answer = application.ask("GET /", tenant, Some(id));
            assert_eq!(answer.body, format!("{tenant}: {user}, visit {visits}"));
            assert_eq!(answer.id, None);
        }
    }
    // All of it lies under the keys of its own tenant and application, on the tenant's own server.
    let mut counted = 0;
    for (tenant, server) in TENANTS.into_iter().zip(servers) {
        for application in &applications {
            let keys = server.cli(&["KEYS", &format!("{tenant}:@{}:*", application.name)]);
            // Of the session, the tombstone of its first id, and the three strangers.
            assert_eq!(keys.lines().count(), 2 + 3, "{keys}");
            counted += 5;
        }
    }
    assert_eq!((strangers, counted), (12, 20));
    let mut sizes: Vec<usize> = servers.iter().map(|server| server.cli(&["DBSIZE"]).parse().unwrap()).collect();
    if servers[0].port() == servers[1].port() {
        sizes.truncate(1);
    }
    assert_eq!(sizes.iter().sum::<usize>(), counted, "nothing else lies there");
}

#[test]
fn each_tenant_on_a_server_of_its_own() {
    let servers = [RedisServer::spawn().unwrap(), RedisServer::spawn().unwrap()];
    nothing_crosses([&servers[0], &servers[1]]);
}

#[test]
fn all_on_one_server() {
    let server = RedisServer::spawn().unwrap();
    nothing_crosses([&server, &server]);
}

#[test]
fn a_server_that_is_down_is_one_tenants_trouble() {
    let (mut north, south) = (RedisServer::spawn().unwrap(), RedisServer::spawn().unwrap());
    let shop = Application::start("shop", &format!("north={} south={}", north.url(), south.url()));
    let ids = TENANTS.map(|tenant| shop.ask("GET /", tenant, None).id);
    north.kill();
    assert_eq!(shop.ask("GET /", "north", ids[0].as_deref()).status, 503);
    assert_eq!(shop.ask("GET /", "south", ids[1].as_deref()).body, "south: nobody, visit 2");
}

#[test]
fn hosts_of_nobody_are_told_so() {
    let server = RedisServer::spawn().unwrap();
    let shop = Application::start("shop", &format!("north={}", server.url()));
    for host in ["south", "", "north:@blog", "NORTH%3a"] {
        let answer = shop.ask("GET /", host, None);
        assert_eq!((answer.status, answer.id), (421, None), "{host}");
    }
    assert_eq!(server.cli(&["DBSIZE"]), "0");
    assert_eq!(shop.ask("GET /", "North", None).body, "north: nobody, visit 1");
}

#[test]
fn wrong_settings_are_named() {
    for (variable, text) in [
        ("PORT", "http"),
        ("TENANTS", "north"),
        ("TENANTS", "no:rth=redis://127.0.0.1"),
        ("TENANTS", "north=http://:sesame@127.0.0.1"),
        ("APPLICATION", "no cookie; at all"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_tenants")).env("PORT", "0").env(variable, text).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        let named = if variable == "APPLICATION" { "cookie_name" } else { variable };
        assert!(told.contains(named) && !told.contains("sesame"), "{told}");
    }
}
