// Frames as they may be shown to people, for programs that show or keep what passes.

import { redact } from './core.js';

/**
 * A frame without what proves an identity: `[redacted]` stands in its place. What is not XML is
 * told by its length alone.
 */
export function redacted(frame: string): string {
  return redact(frame);
}
