//! Owns the findings about energy counters, throttle counters and frequencies: readable, or why not and what helps.

use super::{Finding, Section};
use crate::baseline;
use crate::record::Reading;
use crate::runner::{self, EnergyCounter, Heat, NoCounters};
use std::path::Path;

const BARE_METAL: &str = "run on bare metal: hosts rarely pass the counters on to virtual machines. \
                          Everything else is measured here as well";

const OPEN_COUNTERS: &str = "until the next boot: `sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj`. For \
                             good, this line in /etc/udev/rules.d/99-rapl.rules:\n\
                             SUBSYSTEM==\"powercap\", KERNEL==\"intel-rapl:*\", \
                             RUN+=\"/bin/chmod a+r /sys%p/energy_uj\"\n\
                             Who can read them can guess at what others compute, so not on a machine shared with \
                             strangers";

/// Looks for the counters below a root.
pub(super) fn section(root: &Path) -> Section {
    let is_virtual = baseline::is_virtual(root);
    let findings = vec![
        energy(EnergyCounter::find(root), is_virtual),
        throttling(&runner::host(root).throttling, is_virtual),
        frequency(Heat::find(root).khz(), is_virtual),
    ];
    Section { title: "Energy and throttling", findings }
}

fn energy(found: Result<EnergyCounter, NoCounters>, is_virtual: bool) -> Finding {
    let why = match found {
        Ok(counter) if counter.left_out().is_empty() => {
            return Finding::ok("energy", counter.name());
        }
        Ok(counter) => {
            let text = format!("{}; the memory's energy is then in no figure", counter.name());
            return Finding::warning("energy", text, OPEN_COUNTERS);
        }
        Err(why) => why,
    };
    let (text, remedy) = match &why {
        NoCounters::Forbidden(file) => {
            (format!("{} may be read by root only", file.display()), OPEN_COUNTERS)
        }
        NoCounters::Absent(why) if is_virtual => {
            (format!("{why}: it is a virtual machine"), BARE_METAL)
        }
        NoCounters::Absent(why) => (
            why.clone(),
            "load the driver with `sudo modprobe intel_rapl_msr` (for AMD's processors too); start a \
             Docker container with `--security-opt systempaths=unconfined`. Processors without \
             these counters need an external meter",
        ),
        NoCounters::Broken(why) => (
            why.clone(),
            "look at the file as root; if it reads well there, the container or its security \
             profile hides it (Docker does; `--security-opt systempaths=unconfined` shows it)",
        ),
    };
    let text = format!("{text}; rules on energy cannot be decided");
    Finding::warning("energy", text, remedy)
}

fn throttling(throttling: &Reading, is_virtual: bool) -> Finding {
    match throttling {
        Reading::Available(counts) => Finding::ok("throttling", format!("throttled: {counts}")),
        Reading::Unavailable(why) if is_virtual => Finding::warning(
            "throttling",
            format!("{why}: it is a virtual machine, whose host alone sees when it gets too hot"),
            BARE_METAL,
        ),
        Reading::Unavailable(why) => Finding::warning(
            "throttling",
            why.clone(),
            "only Intel's processors count it; elsewhere watch the temperature (`sensors`) while the \
             gate runs",
        ),
    }
}

fn frequency(khz: Result<u64, String>, is_virtual: bool) -> Finding {
    match khz {
        Ok(khz) => {
            let ghz = khz as f64 * 1e-6;
            Finding::ok("frequency", format!("{ghz:.2} GHz now, the mean of the usable processors"))
        }
        Err(why) if is_virtual => Finding::warning(
            "frequency",
            format!(
                "{why}: it is a virtual machine, whose host alone sees how fast its processors are"
            ),
            BARE_METAL,
        ),
        Err(why) => Finding::warning(
            "frequency",
            why,
            "load a driver that tells it, such as `sudo modprobe acpi-cpufreq`; without, a report cannot say whether the \
             processors became slower during a session",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Mark;
    use super::super::tests::{about, put};
    use super::*;

    const ZONE: &str = "sys/class/powercap/intel-rapl:0";

    #[test]
    fn counters_that_are_there_are_fine() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        put(root, &format!("{ZONE}/name"), "package-0\n");
        put(root, &format!("{ZONE}/max_energy_range_uj"), "1000\n");
        put(root, &format!("{ZONE}/energy_uj"), "5\n");
        put(root, "sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count", "3\n");
        let section = section(root);
        assert_eq!(about(&section, "energy"), &Finding::ok("energy", "RAPL package-0"));
        let throttling = "throttled: packages 3 times since boot";
        assert_eq!(about(&section, "throttling"), &Finding::ok("throttling", throttling));
        assert_eq!(about(&section, "frequency").mark, Mark::Warning, "nothing tells of it");
        put(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "2100000\n");
        let text = "2.10 GHz now, the mean of the usable processors";
        assert_eq!(about(&super::section(root), "frequency"), &Finding::ok("frequency", text));
        // Memory whose counter cannot be made sense of is left out, and that is said.
        put(root, &format!("{ZONE}:0/name"), "dram\n");
        let section = super::section(root);
        let energy = about(&section, "energy");
        assert_eq!(energy.mark, Mark::Warning);
        assert!(
            energy.text.contains("RAPL package-0; without dram of package-0 ("),
            "{}",
            energy.text
        );
    }

    #[test]
    fn without_counters_the_remedy_depends_on_the_machine() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let remedy = || about(&section(root), "energy").remedy.clone().unwrap();
        assert!(remedy().contains("modprobe intel_rapl_msr"));
        put(root, "proc/cpuinfo", "flags\t: fpu hypervisor avx2\n");
        assert!(remedy().contains("bare metal"));
        assert!(
            about(&section(root), "throttling").remedy.as_ref().unwrap().contains("bare metal")
        );
    }

    #[test]
    fn counters_for_root_alone_can_be_opened() {
        let file = Path::new("/sys/class/powercap/intel-rapl:0/energy_uj").to_path_buf();
        let finding = energy(Err(NoCounters::Forbidden(file)), false);
        assert_eq!(finding.mark, Mark::Warning);
        assert!(finding.text.contains("intel-rapl:0/energy_uj may be read by root only"));
        let remedy = finding.remedy.unwrap();
        assert!(remedy.contains("sudo chmod a+r"), "{remedy}");
        assert!(remedy.contains("/etc/udev/rules.d/"), "{remedy}");
    }

    #[test]
    fn counters_that_make_no_sense_say_so() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        put(root, &format!("{ZONE}/name"), "package-0\n");
        put(root, &format!("{ZONE}/max_energy_range_uj"), "1000\n");
        std::fs::create_dir_all(root.join(ZONE).join("energy_uj")).unwrap();
        let section = section(root);
        let finding = about(&section, "energy");
        assert_eq!(finding.mark, Mark::Warning);
        assert!(finding.text.contains("energy_uj cannot be read"), "{}", finding.text);
    }
}
