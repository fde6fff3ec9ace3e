// Judges what the light client relies on: headers' seals and names with ethers, trie proofs with
// @ethereumjs/mpt. Argument: path of a JSON file {headers: [hex], proofs: [{root, key, nodes}]}.
// Prints {headers: [{hash, sealers}], proofs: [value in hex, "absent" or "refused"]}.

import { readFileSync } from "node:fs";
import { verifyMerkleProof } from "@ethereumjs/mpt";
import { decodeRlp, encodeRlp, getBytes, hexlify, keccak256, recoverAddress } from "ethers";

const work = JSON.parse(readFileSync(process.argv[2], "utf8"));

function judgeHeader(raw) {
  const header = decodeRlp(raw);
  const extra = decodeRlp(header[12]);
  const nameWith = (items) => keccak256(encodeRlp(header.with(12, encodeRlp(items))));
  const sealed = nameWith(extra.with(4, []));
  const sealers = extra[4].map((seal) => {
    const bytes = getBytes(seal);
    const signature = { r: hexlify(bytes.slice(0, 32)), s: hexlify(bytes.slice(32, 64)), v: bytes[64] + 27 };
    return recoverAddress(sealed, signature).toLowerCase();
  });
  return { hash: nameWith(extra.with(3, "0x").with(4, [])), sealers };
}

async function judgeProof({ root, key, nodes }) {
  try {
    if (nodes.length && keccak256(nodes[0]) !== root) return "refused";
    const value = await verifyMerkleProof(getBytes(key), nodes.map(getBytes));
    return value === null ? "absent" : hexlify(value);
  } catch {
    return "refused";
  }
}

const proofs = [];
for (const each of work.proofs) proofs.push(await judgeProof(each));
console.log(JSON.stringify({ headers: work.headers.map(judgeHeader), proofs }));
