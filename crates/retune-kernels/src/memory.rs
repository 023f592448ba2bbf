//! Memory of the process: peak use, and an allocator that keeps what it has.

/// Tells the C allocator to keep freed memory mapped.
///
/// Each training step frees and takes the same buffers; giving them back to the kernel in between costs a page fault
/// per 4 KiB, which is a large part of a step. No effect outside glibc.
pub fn keep_memory_mapped() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only changes allocator settings.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
        libc::mallopt(libc::M_TOP_PAD, 64 << 20);
    }
}

/// Peak resident memory of this process in bytes (0 where the system does not tell).
pub fn peak_bytes() -> u64 {
    #[cfg(unix)]
    {
        // SAFETY: rusage is plain data, filled by the call.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: a valid pointer to a rusage.
        if unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) } == 0 {
            let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
            return usage.ru_maxrss as u64 * unit;
        }
    }
    0
}

/// Bytes free for this user on the file system of `path`, if the system tells.
pub fn free_disk_bytes(path: &std::path::Path) -> Option<u64> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let path = std::ffi::CString::new(path.as_os_str().as_bytes()).ok()?;
        // SAFETY: statvfs is plain data, filled by the call.
        let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
        // SAFETY: a NUL-terminated path and a valid pointer.
        if unsafe { libc::statvfs(path.as_ptr(), &mut stat) } == 0 {
            return Some(stat.f_bavail as u64 * stat.f_frsize as u64);
        }
    }
    None
}
