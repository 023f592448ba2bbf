//! Molecules beside what RDKit says of them.

use std::collections::HashMap;
use std::path::Path;

use super::*;
use crate::Random;

fn fixture() -> serde_json::Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/molecules.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn scaffolds_group_molecules_as_those_of_rdkit_do() {
    let fixture = fixture();
    let (mut ours, mut theirs) = (HashMap::new(), HashMap::new());
    let mut wrong = Vec::new();
    for pair in fixture["molecules"].as_array().unwrap() {
        let (text, group) = (pair[0].as_str().unwrap(), pair[1].as_u64().unwrap());
        match Molecule::parse(text) {
            Err(error) => wrong.push(format!("{text} {error}")),
            Ok(molecule) => {
                let key = molecule.scaffold();
                let (known, first) = ours.entry(key).or_insert((group, text));
                if *known != group {
                    wrong.push(format!("{text} has another scaffold than {first}"));
                }
                let (known, first) = theirs.entry(group).or_insert((key, text));
                if *known != key {
                    wrong.push(format!("{text} has the scaffold of {first}"));
                }
            }
        }
    }
    assert!(theirs.len() > 200, "{}", theirs.len());
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_rdkit_refuses_is_refused() {
    let fixture = fixture();
    let all = fixture["invalid"].as_array().unwrap();
    let good: Vec<&str> =
        all.iter().filter_map(|text| text.as_str()).filter(|text| Molecule::parse(text).is_ok()).collect();
    assert!(all.len() > 30 && good.is_empty(), "{good:?}");
}

#[test]
fn mistakes_are_found_where_they_are() {
    for (text, at, part) in [
        ("CC(C", 3, "branch is not closed"),
        ("C1CC", 2, "ring 1 is not closed"),
        ("CCX", 3, "`X` is no atom"),
        ("C=", 2, "no atom follows"),
        ("CC(C)(C)(C)C", 2, "C has 5 bonds, more than the 4"),
        ("[C", 3, "`]` is missing"),
        ("[Xx]", 2, "no such element"),
        ("", 1, "no atom"),
        ("c1cccc1", 6, "cannot be placed"),
        ("CC>>CC", 3, "reaction"),
        ("CC O", 3, "space"),
        ("é", 1, "`é` is no atom"),
    ] {
        let error = Molecule::parse(text).unwrap_err();
        assert!(error.at == at && error.message.contains(part), "{text}: {error}");
    }
}

#[test]
fn a_molecule_written_anew_has_the_same_scaffold_and_surroundings() {
    let fixture = fixture();
    let (mut other, mut all) = (0, 0);
    for (number, pair) in fixture["molecules"].as_array().unwrap().iter().enumerate() {
        let text = pair[0].as_str().unwrap();
        let molecule = Molecule::parse(text).unwrap();
        for turn in 0..4 {
            let again = Molecule::rewritten(text, &mut Random::at(&[number as u64, turn]));
            let read = Molecule::parse(&again).unwrap_or_else(|error| panic!("{text} {again} {error}"));
            assert_eq!(read.scaffold(), molecule.scaffold(), "{text} {again}");
            let bits = |it: &Molecule| circular_fingerprint(it, 3, 1 << 20);
            assert_eq!(bits(&read), bits(&molecule), "{text} {again}");
            other += usize::from(again != text);
            all += 1;
        }
    }
    assert!(other * 10 > all * 8, "{other} of {all}");
}

#[test]
fn equal_draws_write_equally() {
    let text = "C[C@H](N)C(=O)O";
    let write = |turn: u64| Molecule::rewritten(text, &mut Random::at(&[turn]));
    assert_eq!(write(3), write(3));
    assert!((0..20).map(write).collect::<std::collections::HashSet<_>>().len() > 5);
}

#[test]
fn all_spellings_of_a_molecule_are_one_text() {
    let fixture = fixture();
    let canonical = |text: &str| Molecule::parse(text).unwrap().canonical().unwrap();
    let mut all = HashMap::new();
    let groups = fixture["spellings"].as_array().unwrap();
    for (number, spellings) in groups.iter().enumerate() {
        let texts: Vec<&str> = spellings.as_array().unwrap().iter().filter_map(|it| it.as_str()).collect();
        let first = canonical(texts[0]);
        for text in &texts {
            assert_eq!(canonical(text), first, "{text} {}", texts[0]);
        }
        assert_eq!(canonical(&first), first);
        // Molecules that differ in their shape alone stay apart.
        assert_eq!(*all.entry(first).or_insert(number), number, "{texts:?}");
    }
    assert!(groups.len() > 60, "{}", groups.len());
}

#[test]
fn shapes_that_say_nothing_are_left_out() {
    let canonical = |text: &str| Molecule::parse(text).unwrap().canonical().unwrap();
    for (one, other) in
        [("C[C@H](C)O", "CC(C)O"), ("C/C=C(/C)C", "CC=C(C)C"), ("[H]C([H])([H])O", "CO"), ("C[N@](CC)F", "CN(CC)F")]
    {
        assert_eq!(canonical(one), canonical(other), "{one}");
    }
    for (one, other) in [("C[C@H](F)O", "C[C@@H](F)O"), ("C[C@H](F)O", "CC(F)O"), ("F/C=C/F", r"F/C=C\F")] {
        assert_ne!(canonical(one), canonical(other), "{one}");
    }
}
