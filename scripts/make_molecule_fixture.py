"""Scaffolds and validity of molecules as RDKit sees them: fixtures/molecules.json.

usage: PYTHON scripts/make_molecule_fixture.py FOLDER...   (folders with CSV files that have a column `smiles`)
"""

import csv
import json
import pathlib
import random
import sys

import rdkit
from rdkit import Chem, RDLogger, rdBase
from rdkit.Chem.Scaffolds import MurckoScaffold

RDLogger.DisableLog("rdApp.*")

# What the sets lack: Kekulé forms, charges, odd rings, exocyclic double bonds, explicit hydrogens, several parts.
HARD = """
C1=CC=CC=C1 c1ccccc1 C1=CC=CN=C1C c1ccncc1CC O=C1C=CC(=O)C=C1 O=c1cc[nH]cc1 O=C1C=CNC=C1 c1cc[nH]c1 Cn1cccc1 C1=CNC=C1
c1ccc2[nH]ccc2c1 C1=CC=C2C(=C1)C=CN2 c1ccc2ccccc2c1 C1=CC2=CC=CC=C2C=C1 c1ccc2cc3ccccc3cc2c1 c1cc2cccc3ccc4cccc1c4c32
C1CCC2CCCCC2C1 C1CCCC1C1CCCC1 C1CC2CCC1CC2 C1CC2CC1CC2 c1ccc(cc1)-c1ccccc1 c1ccc(cc1)C(=O)c1ccccc1 O=C(Cc1ccccc1)Nc1ccccc1
c1ccccc1S(=O)(=O)N1CCNCC1 c1ccccc1CC#N N#Cc1ccccc1 C=C1CCCCC1 C1CCCCC1=NO CC(C)=C1CCCC1 [O-][n+]1ccccc1 c1cc[o+]cc1 c1ccsc1
C[n+]1ccccc1 O=N(=O)c1ccccc1 [O-][N+](=O)c1ccccc1 [nH]1cnc2ccccc12 n1c[nH]c2ccccc12 O=c1[nH]c(=O)c2[nH]cnc2[nH]1
Cn1cnc2c1c(=O)n(C)c(=O)n2C CN1C=NC2=C1C(=O)N(C)C(=O)N2C c1ccc2c(c1)Cc1ccccc1-2 C1=CC=CC=CC=C1 C1=CC=CC=C[CH+]1 c1ccc[cH+]cc1
[CH-]1C=CC=C1 c1cc[cH-]c1 CCO CC(=O)O C#CC [Na+].[O-]C(=O)c1ccccc1 Cl.NCCc1ccc(O)c(O)c1 [2H]c1ccccc1 [H]C1CCCCC1 [13CH3]c1ccccc1
OB(O)c1ccccc1 c1ccc2c(c1)OCO2 O=S1(=O)CCCC1 O=P1(O)OCCO1 C1CC1 C1=CC1 O=C1C=C1 c1cn[nH]c1 c1nnn[nH]1 c1ccc(nc1)-c1ccccn1
c1ccc2c(c1)c1ccccc1[nH]2 C1CCN2CCCCC2C1 O=C1NC(=O)C(N1)(c1ccccc1)c1ccccc1 CC1(C)SC2C(NC(=O)Cc3ccccc3)C(=O)N2C1C(=O)O
CN1CCC23C4C1CC5=C2C(=C(C=C5)O)OC3C(C=C4)O C1CCC(CC1)=C1CCCCC1 c1ccccc1C=Cc1ccccc1 c1ccccc1N=Nc1ccccc1 O=C1c2ccccc2C(=O)c2ccccc12
O=C1c2ccccc2-c2ccccc21 C1=CC2=CC=CC2=C1 c1ccc2cccc2cc1 c1cc2ccccc2[se]1 [SiH2]1CCCC1 C1CS1 S=C1NC(=O)c2ccccc12 N=C1NCCN1 C=C1C=CC(=C)C=C1
C[Si](C)(C)c1ccccc1 F[P-](F)(F)(F)(F)F c1c[nH]c(=S)[nH]1 O=C1C=Cc2ccccc2O1 O=c1ccc2ccccc2o1 [NH3+]C1CCCCC1 C[N+]1(C)CCCCC1
""".split()

INVALID = """
C( C) C1CC C(C c1ccccc CC(C)(C)(C)C c1cccc1 n1cccc1 C=C=O=C [Xx] [C CC] C1CC2 O=C=O=O CN(C)(C)C F(F)F cc C%1CC C=(C)C CC=
1CC C11 C1C1 =CC C..C CC. C-=C c1ccccc1> C[N](C)(C)(C)C c1cc[nH]cc1 (C)C C{C} Cl(C)C c1ccc2cccc2c1
""".split()


# Shapes and symmetries that are hard to rank; several of a line differ in their shape alone.
SHAPES = r"""
F/C=C/F F/C=C\F C/C=C/C=C\C C/C=C\C=C\C C[C@H]1CC[C@@H](C)CC1 C[C@H]1CC[C@H](C)CC1 C[C@H](O)[C@@H](O)[C@H](C)O C[C@H](O)[C@H](O)[C@H](C)O
O[C@@H]1[C@H](O)[C@@H](O)[C@H](O)[C@@H](O)[C@@H]1O O[C@H]1[C@H](O)[C@@H](O)[C@H](O)[C@@H](O)[C@@H]1O C[S@](=O)CC C[S@@](=O)CC C12C3C4C1C5C2C3C45
CC(C)(C)c1cc(C(C)(C)C)cc(C(C)(C)C)c1 [H]/N=C(/C)N N/C(C)=N/O N/C(C)=N\O [2H]C([2H])([2H])O C1CC1/C=C/C2CC2 CC[C@](C)(O)/C=C(/F)Cl C1CCCC/C=C/CCCC1
CC1=C(/C=C/C(C)=C\C=C/C(C)=C/C(=O)O)C(C)(C)CCC1 COc1cc2c(cc1OC)-c1c/c(=N\c3c(C)cc(C)cc3C)n(C)c(=O)n1CC2 C1C[C@@H]2CC[C@H]1C2 [13CH3]C
C[C@@H]1CO1 [C@@H]12C[C@@H](CC1)C=C2 C[N+](C)(C)C.[Cl-] O=[N+]([O-])c1ccccc1 C[P@](=O)(O)c1ccccc1 FC(F)(F)C(F)(F)C(F)(F)F c1cc2cccc3ccc4cccc1c4c32
""".split()


def spellings(molecule, count=4):
    """Random ones, Kekulé's form, and one with all hydrogens."""
    texts = [Chem.MolToSmiles(molecule, doRandom=True) for _ in range(count)]
    kekule = Chem.Mol(molecule)
    Chem.Kekulize(kekule, clearAromaticFlags=True)
    texts.append(Chem.MolToSmiles(kekule, doRandom=True, kekuleSmiles=True))
    texts.append(Chem.MolToSmiles(molecule, doRandom=True, allHsExplicit=True))
    texts.append(Chem.MolToSmiles(Chem.AddHs(molecule), doRandom=True))
    return list(dict.fromkeys(texts))


def scaffold(molecule):
    return MurckoScaffold.MurckoScaffoldSmiles(mol=molecule, includeChirality=False)


def main(folders):
    smiles = list(HARD)
    draw = random.Random(7)
    for folder in folders:
        rows = []
        for path in sorted(pathlib.Path(folder).glob("*.csv")):
            with open(path, newline="") as file:
                rows += [row["smiles"] for row in csv.DictReader(file)]
        smiles += draw.sample(rows, min(len(rows), 110))
    groups, molecules = {}, []
    for text in smiles:
        molecule = Chem.MolFromSmiles(text)
        assert molecule is not None, text
        key = scaffold(molecule)
        molecules.append([text, groups.setdefault(key, len(groups))])
    for text in INVALID:
        assert Chem.MolFromSmiles(text) is None, text
    rdBase.SeedRandomNumberGenerator(7)
    known = {Chem.MolToSmiles(Chem.MolFromSmiles(text)): text for text in SHAPES + draw.sample(smiles, 40)}
    written = [spellings(Chem.MolFromSmiles(text)) for text in known.values()]
    document = {"rdkit": rdkit.__version__, "molecules": molecules, "invalid": INVALID, "spellings": written}
    out = pathlib.Path(__file__).parent.parent / "fixtures" / "molecules.json"
    out.write_text(json.dumps(document, indent=0) + "\n")
    print(len(molecules), "molecules,", len(groups), "scaffolds,", out.stat().st_size, "bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
