// Drives a node with viem, unchanged: send, wait, read, simulate, logs, watch, batches, trace.
// Arguments: HTTP url, WebSocket url, governor's key, path of the compiled contract, chain id.
// Prints one JSON report of what was seen; the test judges it.

import { readFileSync } from "node:fs";
import { createPublicClient, createWalletClient, defineChain, hexToString, http, stringToHex,
  webSocket } from "viem";
import { privateKeyToAccount } from "viem/accounts";

const [httpUrl, wsUrl, key, artifactPath, chainId] = process.argv.slice(2);
const artifact = JSON.parse(readFileSync(artifactPath, "utf8"));
const chain = defineChain({
  id: Number(chainId),
  name: "daicho",
  nativeCurrency: { name: "none", symbol: "NONE", decimals: 18 },
  rpcUrls: { default: { http: [httpUrl], webSocket: [wsUrl] } },
});
const account = privateKeyToAccount(key);
const reader = createPublicClient({
  chain,
  transport: http(httpUrl, { batch: true }),
  pollingInterval: 50,
});
const watcher = createPublicClient({ chain, transport: webSocket(wsUrl) });
const writer = createWalletClient({ account, chain, transport: http(httpUrl) });
const report = {};

const deployment = await writer.deployContract({ abi: artifact.abi, bytecode: artifact.bytecode });
const { contractAddress: address } = await reader.waitForTransactionReceipt({ hash: deployment });

const blocks = [];
const events = [];
const stopBlocks = watcher.watchBlocks({ onBlock: (block) => blocks.push(Number(block.number)) });
const stopEvents = watcher.watchContractEvent({
  address,
  abi: artifact.abi,
  eventName: "Noted",
  onLogs: (logs) => logs.forEach((log) => events.push(hexToString(log.args.text))),
});
await new Promise((resolve) => setTimeout(resolve, 200));

const note = { address, abi: artifact.abi, functionName: "note", account };
const simulated = await reader.simulateContract({ ...note, args: [stringToHex("from viem")] });
const hash = await writer.writeContract(simulated.request);
const receipt = await reader.waitForTransactionReceipt({ hash });
report.status = receipt.status;
report.effectiveGasPrice = receipt.effectiveGasPrice.toString();

const reads = await Promise.all([
  reader.readContract({ address, abi: artifact.abi, functionName: "texts", args: [0n] }),
  reader.readContract({ address, abi: artifact.abi, functionName: "pages" }),
  reader.getGasPrice(),
  reader.getTransaction({ hash }),
]);
report.text = hexToString(reads[0]);
report.pages = Number(reads[1]);
report.gasPrice = reads[2].toString();
report.type = reads[3].type;
report.finalized = Number((await reader.getBlock({ blockTag: "finalized" })).number);

const logs = await reader.getContractEvents({
  address,
  abi: artifact.abi,
  eventName: "Noted",
  args: { author: account.address },
  fromBlock: 0n,
});
report.logCount = logs.length;

try {
  await reader.simulateContract({ ...note, args: ["0x"] });
} catch (error) {
  report.revert = error.walk((cause) => cause.reason !== undefined)?.reason;
}
const access = await reader.createAccessList({
  account,
  to: address,
  data: artifact.noteCall,
});
report.accessed = access.accessList.length;

for (let tries = 0; tries < 100 && (events.length < 1 || blocks.length < 1); tries += 1) {
  await new Promise((resolve) => setTimeout(resolve, 50));
}
stopBlocks();
stopEvents();
report.events = events;
report.blocks = blocks.length;
console.log(JSON.stringify(report));
process.exit(0);
