// Drives a node with ethers, unchanged: send, wait, call, logs, revert, subscribe, proof, pending.
// Arguments: HTTP url, WebSocket url, governor's key, path of the compiled contract.
// Prints one JSON report of what was seen; the test judges it.

import { readFileSync } from "node:fs";
import { verifyMerkleProof } from "@ethereumjs/mpt";
import { RLP } from "@ethereumjs/rlp";
import { Contract, ContractFactory, JsonRpcProvider, Wallet, WebSocketProvider, hexlify, keccak256,
  getBytes, toUtf8Bytes, toBeHex } from "ethers";

const [httpUrl, wsUrl, key, artifactPath] = process.argv.slice(2);
const artifact = JSON.parse(readFileSync(artifactPath, "utf8"));

// Blocks come at once here, so the answers ethers would remember for 250 ms are stale by then.
const options = { polling: true, pollingInterval: 50, cacheTimeout: -1 };
const provider = new JsonRpcProvider(httpUrl, undefined, options);
const subscriber = new WebSocketProvider(wsUrl);
const wallet = new Wallet(key, provider);
const report = {};

const network = await provider.getNetwork();
report.chainId = network.chainId.toString();
const fees = await provider.getFeeData();
report.maxFeePerGas = (fees.maxFeePerGas ?? 0n).toString();

const deployed = await new ContractFactory(artifact.abi, artifact.bytecode, wallet).deploy();
await deployed.waitForDeployment();
const book = new Contract(await deployed.getAddress(), artifact.abi, wallet);

const heads = [];
const events = [];
await subscriber.on("block", (height) => heads.push(height));
const listening = book.connect(subscriber);
await listening.on("Noted", (author, page, text) => events.push({ author, page: Number(page), text }));

const sent = await book.note(toUtf8Bytes("from ethers"));
const receipt = await sent.wait();
report.status = receipt.status;
report.transactionType = sent.type;
report.blockNumber = receipt.blockNumber;
report.text = Buffer.from((await book.texts(0)).slice(2), "hex").toString();
report.logCount = (await book.queryFilter(book.filters.Noted(wallet.address), 0)).length;

try {
  await book.note.staticCall("0x");
} catch (error) {
  report.revert = { code: error.code, reason: error.reason };
}
try {
  await wallet.sendTransaction({ to: wallet.address, nonce: 0, gasLimit: 21000 });
} catch (error) {
  report.nonceError = error.code;
}

const blockTag = "0x" + receipt.blockNumber.toString(16);
const proof = await provider.send("eth_getProof", [book.target, [artifact.pagesSlot], blockTag]);
const block = await provider.getBlock(receipt.blockNumber);
const header = await provider.send("eth_getBlockByNumber", [blockTag, false]);
const prove = (key, nodes) => verifyMerkleProof(getBytes(keccak256(key)), nodes.map(getBytes));
const leaf = RLP.decode(await prove(book.target, proof.accountProof));
const [pages] = proof.storageProof;
const stored = RLP.decode(await prove(toBeHex(artifact.pagesSlot, 32), pages.proof));
report.proof = {
  isUnderStateRoot: keccak256(proof.accountProof[0]) === header.stateRoot,
  isUnderStorageRoot: keccak256(pages.proof[0]) === hexlify(leaf[2]),
  storageRoot: hexlify(leaf[2]) === proof.storageHash,
  codeHash: hexlify(leaf[3]) === keccak256(await provider.getCode(book.target)),
  pages: Number(hexlify(stored)),
};
report.isSameBlock = block.hash === receipt.blockHash;

for (let tries = 0; tries < 100 && (events.length < 1 || heads.length < 1); tries += 1) {
  await new Promise((resolve) => setTimeout(resolve, 50));
}
report.heads = heads.length;
report.events = events;
console.log(JSON.stringify(report));
await subscriber.destroy();
provider.destroy();
