/**
 * The address of a web page that may be opened, else undefined: https, a plain
 * host, no user name. An allow list, because what is not a web page starts
 * programs.
 */
export function webPage(address: string | undefined): string | undefined {
  if (!address || address.length > 2048 || !URL.canParse(address)) return undefined
  const url = new URL(address)
  const plain = url.protocol === 'https:' && url.username === '' && url.password === '' && /^[a-z0-9.-]+$/.test(url.hostname)
  return plain ? url.href : undefined
}
