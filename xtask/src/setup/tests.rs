//! Set-up from end to end, with small archives, a script in the place of pip and a loopback server.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Instant;

use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;

use super::folder::MARKER;
use super::record::base64_url;
use super::wheels::{Extent, destination};
use super::*;

const HEADER: &str = "include/torch/csrc/api/include/torch/torch.h";

/// A checkout, a cache and a pip of its own.
struct World {
    _guard: tempfile::TempDir,
    root: PathBuf,
}

impl World {
    fn new() -> Self {
        let guard = tempfile::tempdir().unwrap();
        let root = guard.path().canonicalize().unwrap();
        for folder in ["checkout", "cache", "wheels"] {
            fs::create_dir(root.join(folder)).unwrap();
        }
        let pip = format!(
            "[ \"$1\" = --version ] && exit 0\necho called >> {0}/calls\nwhile [ $# -gt 0 ]; do\n  [ \"$1\" = --dest ] && cp {0}/wheels/* \"$2\"\n  shift\ndone\nexit 0\n",
            root.display()
        );
        fs::write(root.join("pip.sh"), pip).unwrap();
        Self { _guard: guard, root }
    }

    fn calls(&self) -> usize {
        fs::read_to_string(self.root.join("calls")).map_or(0, |text| text.lines().count())
    }

    fn link(&self) -> PathBuf {
        self.root.join("checkout/libtorch")
    }

    fn installed(&self) -> PathBuf {
        self.root.join("cache/libtorch-2.11.0-cpu")
    }

    fn ensure(&self, archives: &str, variable: Option<&Path>, device: Option<Device>) -> Result<Libtorch> {
        let script = self.root.join("pip.sh");
        let setup = Setup {
            link: self.link(),
            cache: self.root.join("cache"),
            variable: variable.map(|path| path.as_os_str().to_owned()),
            device,
            archives,
            pip: &[&["no-such-pip-here"], &["sh", script.to_str().unwrap()]],
        };
        setup.ensure()
    }

    /// A usable libtorch outside the cache.
    fn own_libtorch(&self, name: &str, version: &str) -> PathBuf {
        let folder = self.root.join(name);
        for file in [HEADER, "lib/libtorch_cpu.so"] {
            fs::create_dir_all(folder.join(file).parent().unwrap()).unwrap();
            fs::write(folder.join(file), "x").unwrap();
        }
        fs::write(folder.join("build-version"), format!("{version}\n")).unwrap();
        folder
    }

    /// Puts the three wheels where the script finds them; `spoil` names a file whose RECORD line lies.
    fn wheels(&self, spoil: Option<&str>) {
        let torch = [
            "torch/include/torch/csrc/api/include/torch/torch.h",
            "torch/include/ATen/ATen.h",
            "torch/lib/libtorch_cpu.so",
            "torch/lib/libc10.so",
            "torch/lib/libgomp.so.1",
            "torch/lib/libtorch.so",
            "torch/lib/libtorch_cuda.so",
            "torch/lib/libtorch_python.so",
            "torch/__init__.py",
        ];
        self.wheel("torch-2.11.0-cp311", &torch, spoil);
        let runtime = ["nvidia/cu13/lib/libcudart.so.13", "nvidia/cu13/lib/libcudart_static.a"];
        self.wheel("nvidia_cuda_runtime-13.0.96-py3", &runtime, spoil);
        let profiler = ["nvidia/cu13/lib/libcupti.so.13", "nvidia/cu13/lib/libnvperf_host.so"];
        self.wheel("nvidia_cuda_cupti-13.0.85-py3", &profiler, spoil);
    }

    fn wheel(&self, name: &str, files: &[&str], spoil: Option<&str>) {
        let path = self.root.join("wheels").join(format!("{name}-none-any.whl"));
        let mut archive = zip::ZipWriter::new(File::create(path).unwrap());
        let mut record = String::new();
        for file in files {
            archive.start_file(*file, SimpleFileOptions::default()).unwrap();
            archive.write_all(file.as_bytes()).unwrap();
            let digested = if spoil == Some(*file) { "other" } else { file };
            let digest = base64_url(&Sha256::digest(digested.as_bytes()));
            record += &format!("{file},sha256={digest},{}\n", file.len());
        }
        archive.start_file("x.dist-info/RECORD", SimpleFileOptions::default()).unwrap();
        archive.write_all(record.as_bytes()).unwrap();
        archive.finish().unwrap();
    }
}

/// An address at which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn wheels_become_a_libtorch_and_a_second_run_does_nothing() {
    let world = World::new();
    world.wheels(None);
    let libtorch = world.ensure(&nobody(), None, None).unwrap();
    assert_eq!(libtorch.folder, world.installed());
    assert_eq!(libtorch.variable.as_deref(), Some(world.link().as_os_str()));
    assert_eq!(fs::read_link(world.link()).unwrap(), world.installed());

    let mut files = Vec::new();
    list(&world.link(), &world.link(), &mut files);
    files.sort();
    let expected = [
        ".complete",
        "build-version",
        "include/ATen/ATen.h",
        HEADER,
        "lib/libc10.so",
        "lib/libcudart.so.13",
        "lib/libcupti.so.13",
        "lib/libgomp.so.1",
        "lib/libtorch.so",
        "lib/libtorch_cpu.so",
    ];
    assert_eq!(files, expected);
    let read = |file: &str| fs::read_to_string(world.link().join(file)).unwrap();
    assert_eq!(read("build-version"), "2.11.0\n");
    assert_eq!(read("lib/libtorch.so"), "INPUT(libtorch_cpu.so)\n");
    assert_eq!(read("lib/libc10.so"), "torch/lib/libc10.so");
    let downloads = fs::read_dir(world.root.join("cache/downloads")).unwrap();
    let wheels = downloads.flatten().any(|entry| entry.file_name().to_string_lossy().contains("wheels"));
    assert!(!wheels, "the wheels are no longer needed");

    let begun = Instant::now();
    world.ensure(&nobody(), Some(&world.link()), None).unwrap();
    assert!(begun.elapsed().as_millis() < 100);
    assert_eq!(world.calls(), 1);
}

fn list(top: &Path, folder: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            list(top, &path, files);
        } else {
            files.push(path.strip_prefix(top).unwrap().to_str().unwrap().to_owned());
        }
    }
}

#[test]
fn a_second_checkout_shares_the_installation() {
    let world = World::new();
    world.wheels(None);
    world.ensure(&nobody(), None, None).unwrap();
    fs::remove_file(world.link()).unwrap();
    world.ensure(&nobody(), None, None).unwrap();
    assert_eq!(world.calls(), 1);
    assert_eq!(fs::read_link(world.link()).unwrap(), world.installed());
}

#[test]
fn a_file_that_differs_from_the_record_is_refused() {
    let world = World::new();
    world.wheels(Some("torch/lib/libc10.so"));
    let error = format!("{:#}", world.ensure(&nobody(), None, None).unwrap_err());
    assert!(error.contains("libc10.so") && error.contains("RECORD"), "{error}");
    assert!(error.contains("official archive") && error.contains("LIBTORCH"), "{error}");
    assert!(!world.installed().exists() && world.link().symlink_metadata().is_err());
    let left = world.root.join("cache/libtorch-2.11.0-cpu.incomplete");
    assert!(!left.exists());
}

#[test]
fn a_wheel_without_a_library_is_refused_by_name() {
    let world = World::new();
    world.wheels(None);
    fs::remove_file(world.root.join("wheels/nvidia_cuda_cupti-13.0.85-py3-none-any.whl")).unwrap();
    let error = format!("{:#}", world.ensure(&nobody(), None, None).unwrap_err());
    assert!(error.contains("lib/libcupti.so.13"), "{error}");
}

#[test]
fn an_interrupted_installation_is_made_again() {
    let world = World::new();
    world.wheels(None);
    let made = world.ensure(&nobody(), None, None).unwrap().folder;
    fs::remove_file(made.join(MARKER)).unwrap();
    fs::remove_file(made.join("lib/libc10.so")).unwrap();
    // The remains of one that did not even get that far.
    fs::create_dir(world.root.join("cache/libtorch-2.11.0-cpu.incomplete")).unwrap();
    world.ensure(&nobody(), None, None).unwrap();
    assert_eq!(world.calls(), 2);
    assert!(world.link().join("lib/libc10.so").is_file());
}

#[test]
fn the_users_own_libtorch_comes_first_if_it_fits() {
    let world = World::new();
    world.wheels(None);
    let own = world.own_libtorch("own", "2.11.0+cu130");
    let libtorch = world.ensure(&nobody(), Some(&own), None).unwrap();
    assert_eq!((&libtorch.folder, libtorch.variable), (&own, None));
    assert_eq!(fs::read_link(world.link()).unwrap(), own);
    assert_eq!(world.calls(), 0);

    // Without the variable the link still says which.
    assert_eq!(world.ensure(&nobody(), None, None).unwrap().folder, own);

    // A wrong one is passed over, and the children must not see it.
    let old = world.own_libtorch("old", "2.11.01");
    fs::remove_file(world.link()).unwrap();
    let libtorch = world.ensure(&nobody(), Some(&old), None).unwrap();
    assert_eq!(libtorch.folder, world.installed());
    assert_eq!(libtorch.variable.as_deref(), Some(world.link().as_os_str()));
}

#[test]
fn a_stale_link_is_replaced_and_a_folder_is_not() {
    let world = World::new();
    world.wheels(None);
    std::os::unix::fs::symlink(world.root.join("gone"), world.link()).unwrap();
    world.ensure(&nobody(), None, None).unwrap();
    assert_eq!(fs::read_link(world.link()).unwrap(), world.installed());

    fs::remove_file(world.link()).unwrap();
    fs::create_dir(world.link()).unwrap();
    fs::write(world.link().join("precious"), "x").unwrap();
    let error = world.ensure(&nobody(), None, None).unwrap_err().to_string();
    assert!(error.contains("move it away"), "{error}");
    assert!(world.link().join("precious").is_file());
}

#[test]
fn cpu_will_not_do_for_cuda() {
    let world = World::new();
    let own = world.own_libtorch("own", "2.11.0+cpu");
    let cache = world.root.join("cache");
    assert!(examine(&own, Some(Device::Cpu), &cache).is_ok());
    let reason = examine(&own, Some(Device::Cuda), &cache).unwrap_err();
    assert!(reason.contains("no CUDA"), "{reason}");
    fs::write(own.join("lib/libtorch_cuda.so"), "x").unwrap();
    for device in [None, Some(Device::Cpu), Some(Device::Cuda)] {
        assert!(examine(&own, device, &cache).is_ok());
    }
    let reason = examine(&world.own_libtorch("old", "2.5.1"), None, &cache).unwrap_err();
    assert!(reason.contains("2.5.1") && reason.contains(VERSION), "{reason}");
}

#[test]
fn the_official_archive_is_preferred() {
    let world = World::new();
    let path = world.root.join("official.zip");
    let mut archive = zip::ZipWriter::new(File::create(&path).unwrap());
    let files = [
        ("libtorch/build-version", "2.11.0+cpu\n"),
        ("libtorch/include/torch/csrc/api/include/torch/torch.h", "h"),
        ("libtorch/lib/libtorch_cpu.so", "cpu"),
        ("libtorch/lib/libtorch.so", "all"),
        ("../evil", "evil"),
        ("libtorch/../../evil", "evil"),
    ];
    for (name, body) in files {
        archive.start_file(name, SimpleFileOptions::default()).unwrap();
        archive.write_all(body.as_bytes()).unwrap();
    }
    archive.finish().unwrap();
    let base = serve(fs::read(path).unwrap());
    world.ensure(&base, None, None).unwrap();
    assert_eq!(world.calls(), 0);
    let version = fs::read_to_string(world.link().join("build-version")).unwrap();
    assert_eq!(version, "2.11.0+cpu\n");
    assert_eq!(fs::read_to_string(world.link().join("lib/libtorch.so")).unwrap(), "all");
    for evil in ["cache/evil", "evil", "checkout/evil"] {
        assert!(!world.root.join(evil).exists());
    }
}

#[test]
fn a_damaged_archive_is_thrown_away_and_pip_takes_over() {
    let world = World::new();
    world.wheels(None);
    world.ensure(&serve(b"no archive at all".to_vec()), None, None).unwrap();
    assert_eq!(world.calls(), 1);
    let mut left = Vec::new();
    let downloads = world.root.join("cache/downloads");
    list(&downloads, &downloads, &mut left);
    assert!(left.is_empty(), "{left:?}");
}

/// Answers every request with `body`.
fn serve(body: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(&stream).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|text| !text.is_empty())) {}
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    url
}

#[test]
fn two_at_once_install_once() {
    let world = World::new();
    world.wheels(None);
    let nobody = nobody();
    thread::scope(|scope| {
        let runs: Vec<_> = (0..2).map(|_| scope.spawn(|| world.ensure(&nobody, None, None))).collect();
        for run in runs {
            run.join().unwrap().unwrap();
        }
    });
    assert_eq!(world.calls(), 1);
}

#[test]
fn links_made_at_once_do_not_meet() {
    let root = tempfile::tempdir().unwrap();
    let folders = ["one", "other"].map(|name| root.path().join(name));
    folders.iter().for_each(|folder| fs::create_dir(folder).unwrap());
    let place = root.path().join("libtorch");
    thread::scope(|scope| {
        for turn in 0..8 {
            let (place, folder) = (&place, &folders[turn % 2]);
            scope.spawn(move || (0..50).for_each(|_| install::link(place, folder).unwrap()));
        }
    });
    let leads_to = place.canonicalize().unwrap();
    assert!(folders.iter().any(|folder| folder.canonicalize().unwrap() == leads_to), "{leads_to:?}");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 3);
}

#[test]
fn each_extent_takes_its_files() {
    let goes = |name: &str, extent| destination(name, extent).map(|to| to.to_str().unwrap().to_owned());
    let header = goes("torch/include/ATen/a.h", Extent::Torch);
    assert_eq!(header.as_deref(), Some("include/ATen/a.h"));
    for (name, minimal, torch, cuda) in [
        ("torch/lib/libtorch_cpu.so", true, true, true),
        ("torch/lib/libgomp-a34b.so.1", true, true, true),
        ("torch/lib/libtorch_cuda.so", false, true, true),
        ("torch/lib/libtorch_python.so", false, false, false),
        ("torch/lib/libtorch_cpu.dylib", false, true, true),
        ("torch/lib/readme.txt", false, false, false),
        ("nvidia/cu13/lib/libcudart.so.13", true, false, true),
        ("nvidia/cu13/lib/libcublas.so.13", false, false, true),
        ("nvidia/cudnn/lib/libcudnn.so.9", false, false, true),
        ("nvidia/cu13/lib/libcudart_static.a", false, false, false),
        ("nvidia/cu13/include/cuda.h", false, false, false),
        ("torch/utils/lib/x.so", false, false, false),
    ] {
        let taken = [Extent::CpuOfCuda, Extent::Torch, Extent::Cuda].map(|extent| goes(name, extent).is_some());
        assert_eq!(taken, [minimal, torch, cuda], "{name}");
    }
}
