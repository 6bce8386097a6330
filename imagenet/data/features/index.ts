export { CachedFeatures, type CacheOptions, type FrozenBase } from './cached.ts'
export { weightsDigest } from './key.ts'
