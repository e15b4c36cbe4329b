// The mechanisms that a person can choose from, and what each wants to be told.

import { Strophe, type SASLMechanismClass } from 'epode';

/** What is typed beside the address. */
export type SecretName = 'Password' | 'Token' | 'Nothing';

interface Choice {
  /** What is registered with the connection; all that there are if it is empty. */
  classes: SASLMechanismClass[];
  secret: SecretName;
}

/** By the words that are shown; the first is the one that is chosen at first. */
export const CHOICES: ReadonlyMap<string, Choice> = new Map<string, Choice>([
  ['Automatic', { classes: [], secret: 'Password' }],
  ['SCRAM-SHA-512', { classes: [Strophe.SASLSHA512], secret: 'Password' }],
  ['SCRAM-SHA-384', { classes: [Strophe.SASLSHA384], secret: 'Password' }],
  ['SCRAM-SHA-256', { classes: [Strophe.SASLSHA256], secret: 'Password' }],
  ['SCRAM-SHA-1', { classes: [Strophe.SASLSHA1], secret: 'Password' }],
  ['PLAIN', { classes: [Strophe.SASLPlain], secret: 'Password' }],
  ['OAUTHBEARER', { classes: [Strophe.SASLOAuthBearer], secret: 'Token' }],
  ['X-OAUTH2', { classes: [Strophe.SASLXOAuth2], secret: 'Token' }],
  ['ANONYMOUS', { classes: [Strophe.SASLAnonymous], secret: 'Nothing' }],
]);

/** @throws {Error} for words that are not among them. */
export function choiceOf(words: string): Choice {
  const choice = CHOICES.get(words);
  if (!choice) throw new Error(`there is no mechanism ${words} to choose`);
  return choice;
}
