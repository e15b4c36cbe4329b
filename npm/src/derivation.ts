// PBKDF2 by the Web Crypto API: on another thread, and sooner done than in wasm.

/** What is to be derived. */
export interface Derivation {
  hash: string;
  password: string;
  salt: Uint8Array<ArrayBuffer>;
  iterations: number;
}

/** The salted password of SCRAM; null where there is no Web Crypto API. */
export async function saltedPassword(derivation: Derivation): Promise<Uint8Array | null> {
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) return null;
  const { hash, password, salt, iterations } = derivation;
  const bytes = new TextEncoder().encode(password);
  const key = await subtle.importKey('raw', bytes, 'PBKDF2', false, ['deriveBits']);
  bytes.fill(0);
  const length = hash === 'SHA-1' ? 160 : Number(hash.slice(4));
  const bits = await subtle.deriveBits({ name: 'PBKDF2', hash, salt, iterations }, key, length);
  return new Uint8Array(bits);
}
