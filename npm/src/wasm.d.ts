declare module '*.wasm2js.js' {
  /** Makes an instance, given what it imports. */
  const instantiate: (imports: object) => object;
  export default instantiate;
}

declare module '*.wasm' {
  const bytes: Uint8Array<ArrayBuffer>;
  export default bytes;
}
