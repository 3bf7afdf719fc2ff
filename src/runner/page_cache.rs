//! Owns the page cache of some files: how much of them is in it, dropping them from it, and bringing them into it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Share of the files' bytes that are in the page cache, 0 to 1, by `mincore(2)`. `None` where the system does not tell:
/// of files that are another user's and may not be written to, Linux says that every page is there.
pub fn resident(files: &[PathBuf]) -> Option<f64> {
    let (mut there, mut all) = (0.0, 0.0);
    for file in files {
        let bytes = std::fs::metadata(file).ok()?.len() as f64;
        there += share(file)? * bytes;
        all += bytes;
    }
    (all > 0.0).then(|| there / all)
}

/// Brings files into the page cache by reading them.
///
/// # Errors
/// If one cannot be read.
pub fn warm(files: &[PathBuf]) -> Result<(), (PathBuf, io::Error)> {
    let mut buffer = vec![0; 1 << 20];
    let mut read = |file: &PathBuf| -> io::Result<()> {
        let mut open = File::open(file)?;
        while open.read(&mut buffer)? > 0 {}
        Ok(())
    };
    files.iter().try_for_each(|file| read(file).map_err(|error| (file.clone(), error)))
}

/// Asks the kernel to drop files from the page cache (`posix_fadvise(2)`, `POSIX_FADV_DONTNEED`), which needs no rights
/// beyond reading them. Pages that some process maps stay; [`resident`] tells what did.
///
/// # Errors
/// If one cannot be opened, or the system has no such call.
pub fn evict(files: &[PathBuf]) -> Result<(), (PathBuf, io::Error)> {
    files.iter().try_for_each(|file| evict_one(file).map_err(|error| (file.clone(), error)))
}

#[cfg(target_os = "linux")]
fn evict_one(file: &Path) -> io::Result<()> {
    let open = File::open(file)?;
    // What was not written back yet cannot be dropped.
    open.sync_all()?;
    rustix::fs::fadvise(&open, 0, None, rustix::fs::Advice::DontNeed)?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn evict_one(_: &Path) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no way to do so"))
}

/// The share of one file's pages.
#[cfg(target_os = "linux")]
fn share(file: &Path) -> Option<f64> {
    let open = File::open(file).ok()?;
    let length = usize::try_from(open.metadata().ok()?.len()).ok()?;
    if length == 0 {
        return Some(1.0);
    }
    if !is_told(file, &open) {
        return None;
    }
    let pages = pages(&open, length)?;
    // The lowest bit alone has a meaning.
    let there = pages.iter().filter(|page| **page & 1 == 1).count();
    Some(there as f64 / pages.len() as f64)
}

#[cfg(not(target_os = "linux"))]
fn share(_: &Path) -> Option<f64> {
    None
}

/// Whether the kernel tells this user what of a file is in memory, since Linux 5.2.
#[cfg(target_os = "linux")]
fn is_told(file: &Path, open: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    let user = rustix::process::geteuid();
    let owner = open.metadata().is_ok_and(|metadata| metadata.uid() == user.as_raw());
    user.is_root() || owner || rustix::fs::access(file, rustix::fs::Access::WRITE_OK).is_ok()
}

/// A byte for each page of a file.
#[cfg(target_os = "linux")]
fn pages(open: &File, length: usize) -> Option<Vec<u8>> {
    use std::os::fd::AsRawFd;
    // SAFETY: a question that changes nothing.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
    let mut pages = vec![0u8; length.div_ceil(page)];
    // SAFETY: a new mapping, which nobody reads or writes, is made, asked about and taken away again; the vector has a
    // byte for each of its pages.
    unsafe {
        let flags = libc::MAP_SHARED;
        let start =
            libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ, flags, open.as_raw_fd(), 0);
        if start == libc::MAP_FAILED {
            return None;
        }
        let told = libc::mincore(start, length, pages.as_mut_ptr());
        libc::munmap(start, length);
        (told == 0).then_some(pages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On the disk of the build, which is none of memory as `/tmp` may be.
    fn file(bytes: usize) -> tempfile::NamedTempFile {
        let build = std::env::current_exe().unwrap();
        let file = tempfile::NamedTempFile::new_in(build.parent().unwrap()).unwrap();
        std::fs::write(file.path(), vec![7u8; bytes]).unwrap();
        file
    }

    #[test]
    fn what_is_dropped_is_gone_and_comes_back_by_reading() {
        let file = file((32 << 20) + 5);
        let files = [file.path().to_path_buf()];
        assert_eq!(resident(&files), Some(1.0), "just written");
        evict(&files).unwrap();
        let left = resident(&files).unwrap();
        assert!(left < 0.01, "{left} of it is still there");
        warm(&files).unwrap();
        assert_eq!(resident(&files), Some(1.0));
    }

    #[test]
    fn what_a_process_maps_stays_and_that_is_seen() {
        let file = file(8 << 20);
        let files = [file.path().to_path_buf()];
        // SAFETY: nobody changes the file.
        let tensors = unsafe { map(file.as_file(), 8 << 20) };
        evict(&files).unwrap();
        assert!(resident(&files).unwrap() > 0.9);
        drop(tensors);
        evict(&files).unwrap();
        assert!(resident(&files).unwrap() < 0.01);
    }

    /// A mapping whose pages are in memory.
    struct Mapped(*mut libc::c_void, usize);

    unsafe fn map(file: &File, length: usize) -> Mapped {
        use std::os::fd::AsRawFd;
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ, flags, file.as_raw_fd(), 0)
        };
        assert!(start != libc::MAP_FAILED);
        Mapped(start, length)
    }

    impl Drop for Mapped {
        fn drop(&mut self) {
            // SAFETY: mapped above, and read by nobody.
            unsafe { libc::munmap(self.0, self.1) };
        }
    }

    #[test]
    fn of_nothing_nothing_is_told() {
        assert_eq!(resident(&[]), None);
        assert_eq!(resident(&[PathBuf::from("/no/such/file")]), None);
        let (file, _) = warm(&[PathBuf::from("/no/such/file")]).unwrap_err();
        assert_eq!(file, Path::new("/no/such/file"));
    }
}
