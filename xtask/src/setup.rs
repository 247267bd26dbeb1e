//! `cargo xtask setup`: the servers that tests and demo need.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::project;
use crate::step::{Result, output, run as run_command, step};

/// A program that is needed, and what brings it.
struct Program {
    name: &'static str,
    debian: &'static str,
    brew: &'static str,
}

const PROGRAMS: [Program; 3] = [
    Program { name: "redis-server", debian: "redis-server", brew: "redis" },
    Program { name: "redis-cli", debian: "redis-tools", brew: "redis" },
    Program { name: "nutcracker", debian: "nutcracker", brew: "twemproxy" },
];

/// Debian keeps some servers where only root's `PATH` points to.
const ALSO_SEARCHED: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Starts this program again with a `PATH` that has `target/servers/bin` in front, unless it has it already.
///
/// So every child finds the same servers, however they were set up. (A process cannot change its own environment
/// without `unsafe`.)
pub(crate) fn put_servers_on_path() -> Result<()> {
    let own = bin();
    let mut folders: Vec<PathBuf> = env::var_os("PATH").iter().flat_map(env::split_paths).collect();
    if folders.first() == Some(&own) {
        return Ok(());
    }
    folders.insert(0, own);
    for folder in ALSO_SEARCHED.map(PathBuf::from) {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    let error =
        Command::new(env::current_exe()?).args(env::args_os().skip(1)).env("PATH", env::join_paths(folders)?).exec();
    Err(format!("xtask cannot be started again with another PATH: {error}").into())
}

/// Finds all servers, or installs those that are missing.
pub(crate) fn run() -> Result<()> {
    step("servers for tests and demo", twemproxy)
}

/// Finds Redis and TwemProxy, or installs them.
pub(crate) fn twemproxy() -> Result<()> {
    provide(&PROGRAMS)
}

/// Finds Redis, or installs it.
pub(crate) fn redis() -> Result<()> {
    provide(&PROGRAMS[..2])
}

fn provide(programs: &[Program]) -> Result<()> {
    let missing: Vec<&Program> = programs.iter().filter(|program| find(program.name).is_none()).collect();
    if !missing.is_empty() {
        println!("    not on the PATH: {}", names(&missing));
        install(&missing)?;
    }
    for program in programs {
        let path = find(program.name)
            .ok_or_else(|| format!("{} is still not on the PATH after its installation", program.name))?;
        // That it starts proves that its libraries are found, too.
        output(Command::new(&path).arg("--version"))?;
        println!("    {}", path.display());
    }
    Ok(())
}

fn install(missing: &[&Program]) -> Result<()> {
    if cfg!(target_os = "macos") && find("brew").is_some() {
        println!("    installing with Homebrew");
        return run_command(Command::new("brew").arg("install").args(packages(missing, |program| program.brew)));
    }
    let debian = packages(missing, |program| program.debian);
    match (find("apt-get").is_some() && find("dpkg").is_some(), is_root()?) {
        (true, true) => apt_install(&debian),
        (true, false) => unpack(&debian),
        (false, _) => Err(format!(
            "{} must be on the PATH, and this program knows only apt-get and brew to get them; \
             install them with your system's package manager",
            names(missing)
        )
        .into()),
    }
}

/// For root: as one would do it by hand.
fn apt_install(packages: &[&str]) -> Result<()> {
    println!("    installing system-wide with apt-get, because this runs as root");
    println!("    (where systemd runs, Debian also starts a Redis on port 6379; nothing here uses it)");
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    run_command(apt().arg("update"))?;
    run_command(apt().args(["install", "--yes", "--no-install-recommends"]).args(packages))
}

/// For everybody else: downloads the packages, and those of their libraries which the system has not, and unpacks them
/// below `target/servers`. Nothing outside that folder is changed.
fn unpack(packages: &[&str]) -> Result<()> {
    println!(
        "    downloading and unpacking Debian packages into {}, because this does not run as root",
        servers().display()
    );
    let (download, root) = (servers().join("download"), servers().join("root"));
    for folder in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(download.join(folder))?;
    }
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        // The system's own lists may be missing or old, and its locks are root's.
        for (option, value) in [("Dir::State::lists", "lists"), ("Dir::Cache", "cache")] {
            command.arg("-o").arg(format!("{option}={}", download.join(value).display()));
        }
        command.args(["-o", "Debug::NoLocking=true"]);
        command
    };
    run_command(apt().arg("update"))?;
    run_command(apt().args(["install", "--download-only", "--yes", "--no-install-recommends"]).args(packages))?;
    for entry in fs::read_dir(download.join("cache/archives"))? {
        let package = entry?.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            run_command(Command::new("dpkg").arg("-x").arg(&package).arg(&root))?;
        }
    }
    fs::remove_dir_all(&download)?;
    wrap(&root)
}

/// Makes a script in `target/servers/bin` for every unpacked program, which tells it where its libraries are.
fn wrap(root: &Path) -> Result<()> {
    let libraries = library_folders(root)?;
    fs::create_dir_all(bin())?;
    for program in &PROGRAMS {
        let Some(path) = ["usr/bin", "usr/sbin"]
            .map(|folder| format!("{folder}/{}", program.name))
            .into_iter()
            .find(|path| root.join(path).exists())
        else {
            continue;
        };
        let script = bin().join(program.name);
        fs::write(&script, wrapper(&path, &libraries))?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// The folders below `root` that have shared libraries, relative to it.
fn library_folders(root: &Path) -> Result<Vec<String>> {
    let mut folders = Vec::new();
    for parent in ["usr/lib", "lib"] {
        let Ok(entries) = fs::read_dir(root.join(parent)) else { continue };
        for entry in entries {
            let entry = entry?;
            // For instance `x86_64-linux-gnu`.
            if let Some(name) = entry.file_name().to_str().filter(|name| name.contains("-linux-")) {
                folders.push(format!("{parent}/{name}"));
            }
        }
    }
    Ok(folders)
}

/// The script finds the program relative to itself, so that the workspace can be moved, and becomes the program, so that
/// signals reach it.
fn wrapper(path: &str, libraries: &[String]) -> String {
    let libraries: Vec<_> = libraries.iter().map(|folder| format!("$root/{folder}")).collect();
    let libraries = libraries.join(":");
    format!(
        "#!/bin/sh\nroot=$(cd \"$(dirname \"$0\")/../root\" && pwd) || exit\n\
         LD_LIBRARY_PATH=\"{libraries}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\" exec \"$root/{path}\" \"$@\"\n"
    )
}

/// Where servers are unpacked.
fn servers() -> PathBuf {
    project::target().join("servers")
}

/// Where the scripts that start them are.
fn bin() -> PathBuf {
    servers().join("bin")
}

/// The first program of this name on the `PATH`.
fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| {
        file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    })
}

fn is_root() -> Result<bool> {
    Ok(output(Command::new("id").arg("-u"))?.trim() == "0")
}

/// Each package once.
fn packages(programs: &[&Program], package: impl Fn(&Program) -> &'static str) -> Vec<&'static str> {
    let mut packages: Vec<_> = programs.iter().map(|program| package(program)).collect();
    packages.dedup();
    packages
}

fn names(programs: &[&Program]) -> String {
    programs.iter().map(|program| program.name).collect::<Vec<_>>().join(", ")
}
