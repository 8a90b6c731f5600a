/** Whether somebody typed an address rather than a name. */
export const isAddress = (typed: string): boolean => /^https?:\/\/[^\s/]+/i.test(typed.trim())

/** The address of a provider's page, which may be on this computer (the demo), else undefined. */
export function authPage(address: string | undefined): string | undefined {
  return address && /^http:\/\/(127\.0\.0\.1|localhost)(:\d+)?\//.test(address) && URL.canParse(address) ? address : webPage(address, 8192)
}

/**
 * The address of a web page that may be opened, else undefined: https, a plain
 * host, no user name. An allow list, because what is not a web page starts
 * programs.
 */
export function webPage(address: string | undefined, longest = 2048): string | undefined {
  if (!address || address.length > longest || !URL.canParse(address)) return undefined
  const url = new URL(address)
  const plain = url.protocol === 'https:' && url.username === '' && url.password === '' && /^[a-z0-9.-]+$/.test(url.hostname)
  return plain ? url.href : undefined
}
