//! Owns made-up machines: what Linux shows of processors under `/sys`, as files below a folder.

use std::path::{Path, PathBuf};

/// The energy that a package's counter holds at most, on most processors of Intel, microjoules.
pub const RANGE: u64 = 262_143_328_850;

/// The same of AMD's packages, and of the memory of servers.
pub const SMALL_RANGE: u64 = 65_712_999_613;

/// A made-up machine's files.
#[derive(Clone)]
pub struct Machine {
    root: PathBuf,
}

impl Machine {
    /// A machine that shows nothing.
    pub fn bare(root: &Path) -> Machine {
        Machine { root: root.to_path_buf() }
    }

    /// A laptop of Intel's: four cores of two threads, every kind of RAPL zone, and the package a second time.
    pub fn laptop(root: &Path) -> Machine {
        let machine = Machine::bare(root);
        machine.zone("intel-rapl:0", "package-0", RANGE);
        machine.zone("intel-rapl:0:0", "core", RANGE);
        machine.zone("intel-rapl:0:1", "uncore", RANGE);
        machine.zone("intel-rapl:0:2", "dram", RANGE);
        machine.zone("intel-rapl:1", "psys", RANGE);
        machine.zone("intel-rapl-mmio:0", "package-0", RANGE);
        // The control types themselves stand beside their zones.
        machine.put("sys/class/powercap/intel-rapl/enabled", "1");
        machine.put("sys/class/powercap/intel-rapl-mmio/enabled", "1");
        for cpu in 0..8 {
            machine.cpu(cpu, 0, cpu / 2);
            machine.throttles(cpu);
        }
        machine
    }

    /// Two sockets of a Xeon, each with its memory, and two cores of two threads in each.
    pub fn xeon(root: &Path) -> Machine {
        let machine = Machine::bare(root);
        for socket in 0..2 {
            machine.zone(&format!("intel-rapl:{socket}"), &format!("package-{socket}"), RANGE);
            machine.zone(&format!("intel-rapl:{socket}:0"), "dram", SMALL_RANGE);
        }
        for cpu in 0..8 {
            machine.cpu(cpu, cpu / 4, (cpu / 2) % 2);
            machine.throttles(cpu);
        }
        machine
    }

    /// An EPYC: packages and cores, no memory, and nothing of throttling.
    pub fn epyc(root: &Path) -> Machine {
        let machine = Machine::bare(root);
        machine.zone("intel-rapl:0", "package-0", SMALL_RANGE);
        machine.zone("intel-rapl:0:0", "core", SMALL_RANGE);
        (0..4).for_each(|cpu| machine.cpu(cpu, 0, cpu));
        machine
    }

    /// AMD's Threadripper 1950X: two dies that show the one counter of their package, with their cores.
    pub fn threadripper(root: &Path) -> Machine {
        let machine = Machine::bare(root);
        for die in 0..2 {
            let zone = format!("intel-rapl:{die}");
            machine.zone(&zone, &format!("package-0-die-{die}"), SMALL_RANGE);
            machine.zone(&format!("{zone}:0"), "core", SMALL_RANGE);
        }
        let second = machine.root.join(counter("intel-rapl:1"));
        std::fs::remove_file(&second).unwrap();
        std::os::unix::fs::symlink(machine.root.join(counter("intel-rapl:0")), second).unwrap();
        machine
    }

    /// Two sockets of Intel's Cascade Lake AP: two dies in each, which count for themselves, with their memory.
    pub fn cascade_lake_ap(root: &Path) -> Machine {
        let machine = Machine::bare(root);
        for zone in 0..4 {
            let name = format!("package-{}-die-{}", zone / 2, zone % 2);
            machine.zone(&format!("intel-rapl:{zone}"), &name, RANGE);
            machine.zone(&format!("intel-rapl:{zone}:0"), "dram", SMALL_RANGE);
            machine.energy(&format!("intel-rapl:{zone}"), 7_000_000_000 * (zone + 1));
            machine.energy(&format!("intel-rapl:{zone}:0"), 300_000_000 * (zone + 1));
        }
        machine
    }

    /// Twelve sockets, whose zones Linux numbers in hexadecimal digits.
    pub fn twelve_sockets(root: &Path) -> Machine {
        let machine = Machine::bare(root);
        for socket in 0..12 {
            machine.zone(&format!("intel-rapl:{socket:x}"), &format!("package-{socket}"), RANGE);
        }
        machine
    }

    /// A server of ARM's: frequencies alone.
    pub fn arm(root: &Path) -> Machine {
        let machine = Machine::bare(root);
        machine.put("sys/class/powercap/dtpm/enabled", "1");
        (0..4).for_each(|cpu| machine.cpu(cpu, 0, cpu));
        machine
    }

    fn zone(&self, zone: &str, name: &str, range: u64) {
        let folder = format!("sys/class/powercap/{zone}");
        self.put(&format!("{folder}/name"), name);
        self.put(&format!("{folder}/max_energy_range_uj"), &range.to_string());
        self.put(&format!("{folder}/energy_uj"), "0");
    }

    fn cpu(&self, cpu: u32, package: u32, core: u32) {
        let folder = format!("sys/devices/system/cpu/cpu{cpu}");
        self.put(&format!("{folder}/topology/physical_package_id"), &package.to_string());
        self.put(&format!("{folder}/topology/core_id"), &core.to_string());
        self.clock(cpu, 3_000_000);
    }

    fn throttles(&self, cpu: u32) {
        self.throttled(cpu, "core", 0);
        self.throttled(cpu, "package", 0);
    }

    /// Sets a zone's counter, microjoules.
    pub fn energy(&self, zone: &str, energy_uj: u64) {
        self.put(&counter(zone), &energy_uj.to_string());
    }

    /// Sets a CPU's frequency, kHz.
    pub fn clock(&self, cpu: u32, khz: u64) {
        self.put(
            &format!("sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq"),
            &khz.to_string(),
        );
    }

    /// Sets a CPU's throttle counter of its `core` or `package`.
    pub fn throttled(&self, cpu: u32, of: &str, count: u64) {
        let folder = format!("sys/devices/system/cpu/cpu{cpu}/thermal_throttle");
        self.put(&format!("{folder}/{of}_throttle_count"), &count.to_string());
    }

    /// Writes a file with a line's end, as the kernel does. It is never seen half written.
    pub fn put(&self, file: &str, text: &str) {
        let file = self.root.join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let draft = file.with_extension("draft");
        std::fs::write(&draft, format!("{text}\n")).unwrap();
        std::fs::rename(&draft, &file).unwrap();
    }

    pub fn remove(&self, file: &str) {
        std::fs::remove_file(self.root.join(file)).unwrap();
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.root.join(file)
    }
}

/// The file of a zone's counter.
pub fn counter(zone: &str) -> String {
    format!("sys/class/powercap/{zone}/energy_uj")
}
