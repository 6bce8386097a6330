/** A shader's source; esbuild bundles `.wgsl` files as text. */
declare module '*.wgsl' {
  const source: string
  export default source
}
