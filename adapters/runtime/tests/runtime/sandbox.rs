//! What a Worker sees of the machine, and what it cannot do.

use std::fs;

use knit_runtime::port::WorkerState;

use super::kit::{Archive, House, Worker, copy_program};

async fn house_with_data() -> House {
    let house = House::open().await;
    house.push("raw", Archive::default().file(b"file", b"content").end()).await.unwrap();
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_cannot_be_changed() {
    let house = house_with_data().await;
    let script = "
        echo x > /in/file; echo x > /in/new; rm -f /in/file; chmod 777 /in/file; mv /in/file /in/other
        mount -o remount,rw,bind /in; umount /in
        unshare -U -r -m sh -c 'mount -o remount,rw,bind /in && echo x > /in/new; umount -l /in && touch /in/y'
        cat /in/file; ls /in";
    let worker = Worker::shell(script).input("/in", "raw");
    house.run(&worker).await;
    let said = house.log_of(&worker).await;
    assert!(said.ends_with("contentfile\n"), "{said}");
    let volume = house.state().join("volumes/raw");
    assert_eq!(fs::read_to_string(volume.join("file")).unwrap(), "content");
    assert_eq!(fs::read_dir(volume).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_machine_cannot_be_changed() {
    let house = House::open().await;
    let script = "
        for place in / /usr /etc /var /dev /home /proc/sys/kernel /sys; do
            if (touch $place/knitfab-was-here) 2> /dev/null; then echo wrote to $place; fi
        done
        for knob in /proc/sys/kernel/hostname /proc/sys/vm/swappiness /proc/sysrq-trigger; do
            if (: > $knob) 2> /dev/null; then echo opened $knob; fi
        done
        if mknod /tmp/device b 1 1 2> /dev/null; then echo made a device; fi
        if mount -t tmpfs none /tmp 2> /dev/null; then echo mounted; fi
        true";
    assert_eq!(house.say(script).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_directory_is_not_seen_wherever_it_lies() {
    for (place, bound) in places_for_state() {
        let dir = tempfile::tempdir_in(place).unwrap();
        let house = House::open_at(&dir.path().join("state")).await;
        fs::write(dir.path().join("beside"), "seen").unwrap();
        let script = format!("cat {0}/beside; ls -A {0}/state; touch {0}/state/x || true", dir.path().display());
        let said = house.say(&script).await;
        assert_eq!(said.starts_with("seen"), bound, "{said}");
        assert!(!said.contains("volumes"), "{said}");
        assert_eq!(said.contains("Read-only"), bound, "{said}");
    }
}

/// Directories to keep a state in: `/tmp`, which Workers have for themselves, and one that is bound into
/// Workers as it is. An ordinary user whose checkout lies in a home has none of the latter.
fn places_for_state() -> Vec<(std::path::PathBuf, bool)> {
    let own = ["/tmp", "/var/tmp", "/home", "/root", "/run"];
    let named = std::env::var_os("KNIT_TEST_BOUND_DIR").map(std::path::PathBuf::from);
    let target = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let candidates = named.into_iter().chain([target, "/var/lib".into()]);
    let bound = candidates
        .filter(|place| !own.iter().any(|own| place.starts_with(own)))
        .find(|place| tempfile::tempdir_in(place).is_ok());
    std::iter::once(("/tmp".into(), false)).chain(bound.map(|place| (place, true))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn homes_are_empty_and_temporary_files_are_writable() {
    let house = House::open().await;
    let script = "
        pwd; echo $HOME; ls -A $HOME /run /tmp | grep -v :; ls -A /root; ls -A /home
        for dir in $HOME /tmp /var/tmp /run /dev/shm; do echo x > $dir/file && cat $dir/file; done
        true";
    let said = house.say(&format!("({script}) 2> /dev/null")).await;
    let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines, ["/", "/home/worker", "worker", "x", "x", "x", "x", "x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_processes_are_not_seen() {
    let house = House::open().await;
    let said = house.say("ls /proc | grep -c '^[0-9]'; kill -0 1 2> /dev/null; echo $?").await;
    let count: u32 = said.lines().next().unwrap().parse().unwrap();
    assert!(count < 8, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_is_clean_but_for_what_was_asked() {
    let house = House::open().await;
    let mut worker = Worker::shell("env | sort | grep -v '^PWD='");
    worker.spec.order.env.insert("FROM_HOOK".into(), "a b".into());
    assert_eq!(house.run(&worker).await, WorkerState::Succeeded);
    let said = house.log_of(&worker).await;
    let names: Vec<&str> = said.lines().filter_map(|line| line.split('=').next()).collect();
    assert_eq!(names, ["FROM_HOOK", "HOME", "PATH"]);
    assert!(said.contains("FROM_HOOK=a b\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn any_path_can_be_an_input_or_an_output() {
    let house = house_with_data().await;
    // Below the machine's own directories, below its links, where a directory is, and where none is.
    for (i, path) in [
        "/data",
        "/usr/share/knitfab/in",
        "/usr/in",
        "/opt/a/b",
        "/lib/in",
        "/tmp/in",
        "/home/me/in",
        "/etc",
        "/var/lib/x",
        "/run/in",
        "/dev/in",
    ]
    .into_iter()
    .enumerate()
    {
        let worker =
            Worker::shell(&format!("cat {path}/file; echo y > {path}-out/made; ls /usr/bin/env; touch {path}/no 2>&1"))
                .input(path, "raw")
                .output(&format!("{path}-out"), &format!("made-{i}"));
        let state = house.run(&worker).await;
        let said = house.log_of(&worker).await;
        assert!(matches!(&state, WorkerState::Failed(exit) if exit.code == 1), "{path}: {state:?} {said}");
        assert!(said.starts_with("content/usr/bin/env\n") && said.contains("Read-only"), "{path}: {said}");
        assert_eq!(fs::read_to_string(house.state().join(format!("open/made-{i}/made"))).unwrap(), "y\n", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_where_the_machine_has_a_file_is_told() {
    let house = house_with_data().await;
    let state = house.run(&Worker::shell("true").input("/etc/passwd", "raw")).await;
    assert!(matches!(&state, WorkerState::Stuck(exit) if exit.message.contains("`/etc/passwd`")), "{state:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_that_programs_expect_are_there_and_no_others() {
    let house = House::open().await;
    let script = "head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c; echo x > /dev/null
        echo out > /dev/stdout; echo err > /dev/stderr; ls /dev | tr '\\n' ' '";
    assert_eq!(
        house.say(script).await,
        "3\n3\nout\nerr\nfd full null random shm stderr stdin stdout tty urandom zero "
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_has_no_rights_and_wins_none() {
    let house = House::open().await;
    let said = house.say("grep -E '^(CapEff|NoNewPrivs)' /proc/self/status; id -u").await;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..2], ["CapEff:\t0000000000000000", "NoNewPrivs:\t1"]);
    assert_ne!(lines[2], "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_root_are_not_seen() {
    let house = House::open().await;
    let said = house.say("cat /etc/shadow /etc/gshadow 2> /dev/null | wc -c").await;
    assert_eq!(said.trim(), "0");
}

/// Everything here again as an ordinary user, if these tests run as root.
#[test]
fn all_this_works_as_an_ordinary_user() {
    if !rustix::process::geteuid().is_root() {
        return; // Then the whole suite runs as one already.
    }
    let dir = tempfile::tempdir().unwrap();
    let (tests, shim) = (dir.path().join("tests"), dir.path().join("shim"));
    copy_program(&std::env::current_exe().unwrap(), &tests);
    copy_program(&super::kit::shim(), &shim);
    let tmp = dir.path().join("tmp");
    fs::create_dir(&tmp).unwrap();
    let bound = tempfile::tempdir_in("/var").unwrap();
    for dir in [dir.path(), &tmp, bound.path()] {
        rustix::fs::chmod(dir, rustix::fs::Mode::from_raw_mode(0o1777)).unwrap();
    }
    let status = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&tests)
        .args(["--skip", "as_an_ordinary_user", "--test-threads", "2"])
        .env("KNIT_TEST_SHIM", &shim)
        .env("KNIT_TEST_BOUND_DIR", bound.path())
        .env("TMPDIR", &tmp)
        .env("HOME", "/nonexistent")
        .current_dir("/")
        .status()
        .unwrap();
    assert!(status.success());
}
