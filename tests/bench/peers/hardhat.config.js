// A chain like ours in price and speed: no fees, blocks every two seconds.
module.exports = {
  networks: {
    hardhat: {
      chainId: 20261,
      hardfork: "shanghai",
      initialBaseFeePerGas: 0,
      gasPrice: 0,
      blockGasLimit: 300000000,
      mining: { auto: false, interval: 2000 },
    },
  },
};
