//! The standard library's processes, files and local sockets.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

/// What this program does when a test starts it again.
const MODE: &str = "STD_SYSTEM_MODE";

const TESTS: &[userland::Test] = &[
    ("a_child_returns_its_status", a_child_returns_its_status),
    ("a_child_that_is_killed_tells_the_signal", a_child_that_is_killed_tells_the_signal),
    ("output_of_a_child_is_collected", output_of_a_child_is_collected),
    ("a_child_reads_its_input_and_environment", a_child_reads_its_input_and_environment),
    ("a_program_that_is_missing_is_not_found", a_program_that_is_missing_is_not_found),
    ("fifty_children_run_at_once", fifty_children_run_at_once),
    ("try_wait_does_not_wait", try_wait_does_not_wait),
    ("files_are_written_read_and_removed", files_are_written_read_and_removed),
    ("folders_are_walked", folders_are_walked),
    ("errors_have_their_kinds", errors_have_their_kinds),
    ("streams_carry_lines_between_threads", streams_carry_lines_between_threads),
    ("datagrams_arrive_whole", datagrams_arrive_whole),
    ("pipes_join_threads", pipes_join_threads),
];

fn main() {
    match std::env::var(MODE).as_deref() {
        Ok("status") => std::process::exit(37),
        Ok("sleep") => thread::sleep(Duration::from_secs(100)),
        Ok("echo") => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).expect("standard input is text");
            print!("{}{text}", std::env::var("GREETING").unwrap_or_default());
            eprint!("{}", std::env::args().skip(1).collect::<Vec<_>>().join("+"));
        }
        _ => userland::run(TESTS),
    }
}

fn again(mode: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("/proc is there"));
    command.env(MODE, mode);
    command
}

/// A folder of the test's own, removed when dropped.
struct Room(PathBuf);

impl Room {
    fn new(name: &str) -> Room {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("there is room for temporary files");
        Room(path)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // What is left behind harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn a_child_returns_its_status() {
    assert_eq!(again("status").status().expect("it starts").code(), Some(37));
}

fn a_child_that_is_killed_tells_the_signal() {
    let mut child = again("sleep").spawn().expect("it starts");
    child.kill().expect("it is ours to kill");
    assert_eq!(child.wait().expect("it is ours to wait for").signal(), Some(9));
}

fn output_of_a_child_is_collected() {
    let output = again("echo").args(["one", "two"]).stdin(Stdio::null()).output().expect("it starts");
    assert!(output.status.success());
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b""[..], &b"one+two"[..]));
}

fn a_child_reads_its_input_and_environment() {
    let mut child = again("echo")
        .env("GREETING", "hello ")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let long = "x".repeat(200_000);
    let (mut input, text) = (child.stdin.take().expect("it is piped"), long.clone());
    let writer = thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("the child reads all");
    assert_eq!(output.stdout, format!("hello {long}").into_bytes());
}

fn a_program_that_is_missing_is_not_found() {
    assert!(Command::new("/no/such/program").spawn().is_err_and(|error| error.kind() == ErrorKind::NotFound));
}

fn fifty_children_run_at_once() {
    let children: Vec<_> = (0..50).map(|_| again("status").spawn().expect("it starts")).collect();
    for mut child in children {
        assert_eq!(child.wait().expect("it is ours").code(), Some(37));
    }
}

fn try_wait_does_not_wait() {
    let mut child = again("sleep").spawn().expect("it starts");
    assert!(child.try_wait().expect("it is ours").is_none());
    child.kill().expect("it is ours to kill");
    child.wait().expect("it is ours");
}

fn files_are_written_read_and_removed() {
    let room = Room::new("files");
    let path = room.0.join("file");
    fs::write(&path, "first\nsecond\n").expect("written");
    let mut file = OpenOptions::new().read(true).append(true).open(&path).expect("opened");
    file.write_all(b"third\n").expect("appended");
    file.seek(SeekFrom::Start(6)).expect("sought");
    let lines: Vec<_> = BufReader::new(&file).lines().collect::<io::Result<_>>().expect("read");
    assert_eq!(lines, ["second", "third"]);
    file.set_len(5).expect("cut");
    assert_eq!(fs::read_to_string(&path).expect("read"), "first");
    let status = file.metadata().expect("known");
    assert!(status.is_file() && status.modified().is_ok_and(|time| time <= SystemTime::now()));
    fs::copy(&path, room.0.join("copy")).expect("copied");
    fs::rename(room.0.join("copy"), room.0.join("moved")).expect("renamed");
    assert_eq!(fs::read(room.0.join("moved")).expect("read"), b"first");
    file.lock().expect("locked");
    assert!(File::open(&path).is_ok_and(|other| other.try_lock_shared().is_err()));
    file.unlock().expect("unlocked");
    fs::remove_file(&path).expect("removed");
    assert!(!path.exists());
}

fn folders_are_walked() {
    let room = Room::new("folders");
    fs::create_dir_all(room.0.join("a/b/c")).expect("made");
    for i in 0..50 {
        fs::write(room.0.join(format!("a/file{i}")), "").expect("written");
    }
    std::os::unix::fs::symlink("a", room.0.join("link")).expect("linked");
    let mut names: Vec<_> = fs::read_dir(room.0.join("link"))
        .expect("listed")
        .map(|entry| entry.expect("read").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    assert_eq!((names.len(), names[0].as_str(), names[1].as_str()), (51, "b", "file0"));
    assert!(fs::canonicalize(room.0.join("link/b/..")).is_ok_and(|path| path.ends_with("a")));
}

fn errors_have_their_kinds() {
    let room = Room::new("errors");
    let kind = |result: io::Result<()>| result.err().map(|error| error.kind());
    fs::create_dir(room.0.join("d")).expect("made");
    fs::write(room.0.join("f"), "").expect("written");
    assert_eq!(kind(fs::create_dir(room.0.join("d"))), Some(ErrorKind::AlreadyExists));
    assert_eq!(kind(fs::remove_file(room.0.join("none"))), Some(ErrorKind::NotFound));
    assert_eq!(kind(fs::remove_dir(room.0.join("f"))), Some(ErrorKind::NotADirectory));
    assert_eq!(kind(fs::write(room.0.join("d"), "")), Some(ErrorKind::IsADirectory));
    fs::write(room.0.join("d/f"), "").expect("written");
    assert_eq!(kind(fs::remove_dir(room.0.join("d"))), Some(ErrorKind::DirectoryNotEmpty));
}

fn streams_carry_lines_between_threads() {
    let room = Room::new("streams");
    let path = room.0.join("socket");
    let listener = UnixListener::bind(&path).expect("bound");
    let server = thread::spawn(move || {
        for _ in 0..10 {
            let (stream, _) = listener.accept().expect("accepted");
            let mut reader = BufReader::new(stream.try_clone().expect("duplicated"));
            let mut line = String::new();
            while reader.read_line(&mut line).expect("read") > 0 {
                (&stream).write_all(line.to_uppercase().as_bytes()).expect("written");
                line.clear();
            }
        }
    });
    for i in 0..10 {
        let stream = UnixStream::connect(&path).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        for j in 0..20 {
            writeln!(&stream, "line {i} {j}").expect("written");
        }
        stream.shutdown(std::net::Shutdown::Write).expect("shut");
        let lines = BufReader::new(&stream).lines().collect::<io::Result<Vec<_>>>().expect("read");
        assert_eq!((lines.len(), lines[19].as_str()), (20, format!("LINE {i} 19").as_str()));
    }
    server.join().expect("no panic");
}

fn datagrams_arrive_whole() {
    let (one, two) = UnixDatagram::pair().expect("made");
    one.send(b"first").expect("sent");
    one.send(b"").expect("sent");
    one.send(&[7; 10_000]).expect("sent");
    let mut room = [0; 20_000];
    assert_eq!(two.recv(&mut room).expect("received"), 5);
    assert_eq!(two.recv(&mut room).expect("received"), 0);
    assert_eq!(two.recv(&mut room).expect("received"), 10_000);
    two.set_nonblocking(true).expect("set");
    assert!(two.recv(&mut room).is_err_and(|error| error.kind() == ErrorKind::WouldBlock));
}

fn pipes_join_threads() {
    let (mut reader, mut writer) = io::pipe().expect("made");
    assert_ne!(reader.as_raw_fd(), writer.as_raw_fd());
    let thread = thread::spawn(move || {
        let chunk = [3; 1000];
        (0..1000).try_for_each(|_| writer.write_all(&chunk))
    });
    let mut all = Vec::new();
    reader.read_to_end(&mut all).expect("read");
    assert_eq!(all.len(), 1_000_000);
    thread.join().expect("no panic").expect("written");
}
