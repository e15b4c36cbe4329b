// The script that the shared worker loads once a page wants stream management: the core, and what
// the worker does with it. Where the core cannot be made ready, loading it fails.

import { makeReady } from './core.js';
import { takeOver } from './managed-session.js';

makeReady();
Object.assign(globalThis, { epodeTakeOver: takeOver });
