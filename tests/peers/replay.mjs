// Executes an exported chain again with @ethereumjs and reports what it found, as one JSON object.
//
//   node replay.mjs GENESIS CHAIN
//
// GENESIS is the network's genesis file, CHAIN an audit bundle, or a stream of RLP-encoded blocks
// (with or without block 0). Of a bundle the blocks and receipts are read, and its end is held
// against its digest; the records are RLP lists that begin with their kind. The EVM, the tries and the transaction rules are @ethereumjs'; the block hash without
// seals, the parent links and the commit seals are checked here from the specification's words,
// because @ethereumjs knows neither QBFT's hash nor its seals. It does not know who may send either.

import { readFileSync } from 'node:fs'

import { createBlockFromRLP } from '@ethereumjs/block'
import { createCustomCommon, Hardfork, Mainnet } from '@ethereumjs/common'
import { RLP } from '@ethereumjs/rlp'
import { MerkleStateManager } from '@ethereumjs/statemanager'
import {
  bytesToBigInt,
  bytesToHex,
  bytesToInt,
  createAccount,
  createAddressFromString,
  equalsBytes,
  hexToBytes,
  setLengthLeft,
} from '@ethereumjs/util'
import { createVM, encodeReceipt, runBlock } from '@ethereumjs/vm'
import { keccak256, recoverAddress, sha256 } from 'ethers'

const EXTRA_DATA = 12
const ROUND_ZERO = new Uint8Array()

const [genesisPath, chainPath] = process.argv.slice(2)
let bundleGenesis = ''
const genesis = JSON.parse(readFileSync(genesisPath, 'utf8'))
const common = createCustomCommon({ chainId: genesis.config.chainId }, Mainnet, {
  hardfork: Hardfork.Shanghai,
})

const MAGIC = new TextEncoder().encode('DAICHO-BUNDLE\n')

/** Yields each block's bytes and its claimed receipts, of a bundle or of a plain stream of blocks. */
function* readBlocks(stream) {
  if (!equalsBytes(stream.subarray(0, MAGIC.length), MAGIC)) {
    for (const { item } of splitStream(stream, 0)) yield { raw: item }
    return
  }
  let end = null
  for (const { item, start } of splitStream(stream, MAGIC.length)) {
    const [kind, ...fields] = RLP.decode(item)
    switch (new TextDecoder().decode(kind)) {
      case 'bundle':
        if (bytesToHex(fields[2]) !== bundleGenesis) throw new Error('bundle of another network')
        break
      case 'block':
        yield { raw: fields[0], receipts: fields[1] }
        break
      case 'end':
        end = fields[4]
        if (sha256(stream.subarray(0, start)) !== bytesToHex(end)) throw new Error('digest')
        break
    }
  }
  if (end === null) throw new Error('the bundle has no end')
}

/** Splits a stream of RLP lists into their bytes. */
function* splitStream(stream, begin) {
  for (let start = begin; start < stream.length; ) {
    const prefix = stream[start]
    if (prefix < 0xc0) throw new Error(`byte ${start} of the stream begins no block`)
    const lengthSize = prefix > 0xf7 ? prefix - 0xf7 : 0
    const body = start + 1 + lengthSize
    const size = lengthSize === 0 ? prefix - 0xc0 : bytesToInt(stream.subarray(start + 1, body))
    if (body + size > stream.length) throw new Error('the stream ends inside a block')
    yield { item: stream.subarray(start, body + size), start }
    start = body + size
  }
}

/** Hashes a header's items with its extra data changed: without seals, and the round given. */
function hashHeader(items, round) {
  const extra = RLP.decode(items[EXTRA_DATA])
  const bare = [extra[0], extra[1], extra[2], round ?? extra[3], []]
  return keccak256(RLP.encode(items.with(EXTRA_DATA, RLP.encode(bare))))
}

/** Counts the distinct listed validators whose seal stands under the header. */
function countSeals(items) {
  const extra = RLP.decode(items[EXTRA_DATA])
  const validators = extra[1].map((address) => bytesToHex(address))
  const sealHash = hashHeader(items, undefined)
  const signers = extra[4].map((seal) => {
    const signature = { r: seal.slice(0, 32), s: seal.slice(32, 64), yParity: seal[64] }
    return recoverAddress(sealHash, {
      r: bytesToHex(signature.r),
      s: bytesToHex(signature.s),
      yParity: signature.yParity,
    }).toLowerCase()
  })
  return {
    validatorCount: validators.length,
    sealCount: new Set(signers.filter((signer) => validators.includes(signer))).size,
  }
}

/** Builds the first header's items from the genesis file. */
function genesisHeader(stateRoot) {
  const emptyRoot = hexToBytes('0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421')
  const noOmmers = hexToBytes('0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347')
  const number = (value) => RLP.decode(RLP.encode(BigInt(value)))
  return [
    hexToBytes(genesis.parentHash),
    noOmmers,
    hexToBytes(genesis.coinbase),
    stateRoot,
    emptyRoot,
    emptyRoot,
    new Uint8Array(256),
    number(genesis.difficulty),
    number(0),
    number(genesis.gasLimit),
    number(0),
    number(genesis.timestamp),
    hexToBytes(genesis.extraData),
    hexToBytes(genesis.mixHash),
    new Uint8Array(8),
    number(0),
    emptyRoot,
  ]
}

async function putGenesis(state) {
  for (const [text, entry] of Object.entries(genesis.alloc)) {
    const address = createAddressFromString(text)
    await state.putAccount(
      address,
      createAccount({ nonce: BigInt(entry.nonce ?? 0), balance: BigInt(entry.balance ?? 0) }),
    )
    if (entry.code) await state.putCode(address, hexToBytes(entry.code))
    for (const [slot, value] of Object.entries(entry.storage ?? {})) {
      const trimmed = hexToBytes(value)
      await state.putStorage(address, setLengthLeft(hexToBytes(slot), 32), trimmed)
    }
  }
  await state.flush()
  return state.getStateRoot()
}

/** Executes one block and returns what it gave; throws when the block claims otherwise. */
async function replayBlock(vm, raw, claimed, headerItems, hashes) {
  const height = Number(bytesToBigInt(headerItems[8]))
  if (bytesToHex(headerItems[0]) !== hashes.get(height - 1)) throw new Error('parent hash')
  const block = createBlockFromRLP(raw, { common, skipConsensusFormatValidation: true })
  const result = await runBlock(vm, {
    block,
    skipHeaderValidation: true,
    skipHardForkValidation: true,
  })
  const receipts = result.receipts.map((receipt, at) =>
    bytesToHex(encodeReceipt(receipt, block.transactions[at].type)),
  )
  if (claimed && claimed.map(bytesToHex).join() !== receipts.join()) throw new Error('receipts')
  return {
    height,
    hash: hashHeader(headerItems, ROUND_ZERO),
    state_root: bytesToHex(result.stateRoot),
    receipts_root: bytesToHex(result.receiptsRoot),
    gas_used: Number(result.gasUsed),
    receipts,
    ...countSeals(headerItems),
  }
}

async function main() {
  const hashes = new Map()
  const state = new MerkleStateManager({ common })
  const blockchain = {
    getBlock: async (height) => ({ hash: () => hexToBytes(hashes.get(Number(height))) }),
    putBlock: async () => {},
    shallowCopy: () => blockchain,
  }
  const genesisRoot = await putGenesis(state)
  hashes.set(0, hashHeader(genesisHeader(genesisRoot), ROUND_ZERO))
  const vm = await createVM({ common, stateManager: state, blockchain })
  const report = {
    peer: '@ethereumjs/vm',
    passed: true,
    genesis_hash: hashes.get(0),
    genesis_state_root: bytesToHex(genesisRoot),
    blocks: [],
    failure: null,
  }
  let height = 0
  try {
    bundleGenesis = hashes.get(0)
    for (const { raw, receipts } of readBlocks(new Uint8Array(readFileSync(chainPath)))) {
      const [headerItems] = RLP.decode(raw)
      height = Number(bytesToBigInt(headerItems[8]))
      const hash = hashHeader(headerItems, ROUND_ZERO)
      if (height === 0) {
        if (hash !== hashes.get(0)) throw new Error('genesis hash')
        continue
      }
      report.blocks.push(await replayBlock(vm, raw, receipts, headerItems, hashes))
      hashes.set(height, hash)
    }
  } catch (error) {
    report.passed = false
    report.failure = { height, reason: error.message }
  }
  process.stdout.write(JSON.stringify(report))
}

await main()
