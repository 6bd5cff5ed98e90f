//! load
use aya::{EbpfLoader, programs::Xdp};
#[test]
fn loads() {
    let obj = std::fs::read(std::env::var("OBJ").unwrap()).unwrap();
    for masks in [64u32, 8, 1] {
        let mut l = EbpfLoader::new();
        l.override_global("MASK_LIMIT", &masks, true);
        l.map_max_entries("PORT_SET_MAPS", 16);
        let mut b = l.load(&obj).unwrap();
        for n in ["empty", "wamig"] {
            let p: &mut Xdp = b.program_mut(n).unwrap().try_into().unwrap();
            let t = std::time::Instant::now();
            if let Err(e) = p.load() {
                let s = format!("{e:?}").replace("\\n", "\n");
                let v: Vec<&str> = s.lines().collect();
                for x in v.iter().rev().take(60).rev() {
                    println!("   {x}");
                }
                panic!("{n} did not load");
            }
            let i = p.info().unwrap();
            println!(
                "{n} masks {masks}: verified {:?} jited {} in {:?}",
                i.verified_instruction_count(),
                i.size_jitted(),
                t.elapsed()
            );
        }
    }
}
