// A chain for tests: one block for each transaction, and nothing is compiled.
module.exports = {
  solidity: { compilers: [] },
  networks: { hardhat: { chainId: 31337, hardfork: "prague", loggingEnabled: false } },
};
