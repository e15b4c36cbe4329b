// The start tag of a frame, where there is no DOM to read it with. What is in the frame, and
// whether it is well-formed, others find out.

/** The name of the root, and its attributes. */
export interface RootTag {
  name: string;
  attribute(name: string): string | undefined;
}

/** Reads it. What has none is nameless. */
export function rootTag(frame: string): RootTag {
  const [, name = '', attributes = ''] = TAG.exec(frame) ?? [];
  const found = new Map<string, string>();
  for (const [, key = '', inDouble, inSingle] of attributes.matchAll(ATTRIBUTE)) {
    found.set(key, decoded(inDouble ?? inSingle ?? ''));
  }
  return { name, attribute: (key) => found.get(key) };
}

function decoded(value: string): string {
  return value.replace(/&(?:#x([0-9a-f]{1,6})|#([0-9]{1,7})|(\w+));/gi, (found, hex, decimal, name) => {
    if (name !== undefined) return ENTITIES[name] ?? found;
    const code = hex !== undefined ? parseInt(hex, 16) : Number(decimal);
    return code <= 0x10ffff ? String.fromCodePoint(code) : found;
  });
}

const TAG = /^\s*<([^\s/>]+)((?:\s+[^\s=]+\s*=\s*(?:"[^"]*"|'[^']*'))*)\s*\/?>/;
const ATTRIBUTE = /([^\s=]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g;
const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
