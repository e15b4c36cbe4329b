// Bytes as JavaScript has them: arrays, and strings with a character for each.

/** A string whose characters are the bytes. */
export function binaryString(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** The bytes of a string whose characters are bytes. */
export function bytesOf(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code > 0xff) throw new RangeError('it has characters that are no bytes: use Strophe.utf16to8');
    bytes[index] = code;
  }
  return bytes;
}

/** A text as UTF-8, with a character for each byte. */
export function utf16to8(text: string): string {
  return binaryString(new TextEncoder().encode(text));
}

/** Base64 of bytes. */
export function arrayBufToBase64(buffer: ArrayBufferLike): string {
  return btoa(binaryString(new Uint8Array(buffer)));
}

/** Bytes of Base64. */
export function base64ToArrayBuf(text: string): ArrayBufferLike {
  return bytesOf(atob(text)).buffer;
}

/** A text as bytes of UTF-8. */
export function stringToArrayBuf(text: string): ArrayBufferLike {
  return new TextEncoder().encode(text).buffer;
}

/** Two arrays of one length, bit by bit. */
export function xorArrayBuffers(one: ArrayBufferLike, other: ArrayBufferLike): ArrayBufferLike {
  const [left, right] = [new Uint8Array(one), new Uint8Array(other)];
  if (left.length !== right.length) throw new RangeError('the arrays differ in length');
  return left.map((byte, index) => byte ^ (right[index] ?? 0)).buffer;
}
