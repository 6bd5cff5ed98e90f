//! The embedded XDP object loads into the kernel that runs, and lets a frame through its entry point.

use aya::{
    Ebpf,
    programs::{TestRun as _, TestRunOptions, Xdp},
};

/// The shortest Ethernet frame without its checksum; of a type nobody uses.
const FRAME: [u8; 60] = {
    let mut frame = [0; 60];
    frame[0] = 0x02;
    frame[6] = 0x02;
    frame[11] = 0x01;
    frame[12] = 0x88;
    frame[13] = 0xb5;
    frame
};

#[test]
fn every_program_passes_the_verifier() {
    let Some(object) = wamig_userspace::object::bytes() else {
        println!("SKIP: built without the XDP object; `cargo xtask build-ebpf` makes it");
        return;
    };
    let mut ebpf = Ebpf::load(object).unwrap();
    let names: Vec<String> = ebpf.programs().map(|(name, _)| name.to_owned()).collect();
    assert!(!names.is_empty(), "the object has no program");

    for name in names {
        let program: &mut Xdp = ebpf.program_mut(&name).unwrap().try_into().unwrap();
        program.load().unwrap();
        let info = program.info().unwrap();
        println!(
            "{name}: {:?} instructions verified, {:?} bytes translated",
            info.verified_instruction_count(),
            info.size_translated()
        );

        let mut options = TestRunOptions::new();
        options.data_in = Some(&FRAME);
        let result = program.test_run(options).unwrap();
        println!("{name}: a frame of no known type gave {}", result.return_value);
    }
}
