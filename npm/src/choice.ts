// Which mechanisms the core may choose from, and in which order. The choice is the core's.

import type { Connection } from './connection.js';
import { guard } from './log.js';
import type { SASLMechanism } from './mechanism.js';

/** What a program says of a mechanism. */
export interface Verdict {
  mechanism: string;
  usable: boolean;
  priority: number;
}

/** Mechanisms, the highest priority first; those of one priority stay as they were. */
export function byPriority(mechanisms: SASLMechanism[]): SASLMechanism[] {
  return [...mechanisms].sort((one, other) => other.priority - one.priority);
}

/**
 * The verdicts on mechanisms that stand in the order in which they are to be tried. Where that is
 * not the order of their priorities, a mechanism counts for more than the one after it.
 */
export function judge(connection: Connection, mechanisms: SASLMechanism[]): Verdict[] {
  let least = -Infinity;
  return mechanisms.reduceRight<Verdict[]>((verdicts, mechanism) => {
    const priority = mechanism.priority >= least ? mechanism.priority : least + 1;
    least = priority;
    const usable = Boolean(guard(() => mechanism.test(connection)));
    return [{ mechanism: mechanism.mechname, usable, priority }, ...verdicts];
  }, []);
}
