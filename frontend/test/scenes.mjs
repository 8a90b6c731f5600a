// Every state that the window can be in, by name: where it starts and how one
// gets there. Screenshots and accessibility checks walk all of them.

import { World } from './world.mjs'

/** @typedef {import('playwright-core').Page} Page */
/** @typedef {{ world: () => World, view?: string, then?: (page: Page, world: World) => Promise<void> }} Scene */

/** @param {Page} page @param {string} name */
const press = (page, name) => page.getByRole('button', { name, exact: false }).first().click()
/** @param {Page} page @param {string} text */
const see = (page, text) => page.getByText(text, { exact: false }).first().waitFor()

/** @param {(world: World) => void} then @returns {NonNullable<Scene['then']>} */
const attempt = (then) => async (page, world) => {
  await press(page, 'Connect Demo')
  await see(page, 'Waiting for you to approve')
  then(world)
}

/** @type {Record<string, Scene>} */
export const scenes = {
  empty: { world: () => new World('empty'), then: (page) => see(page, 'Nothing connected yet') },
  connections: { world: () => new World('ordinary'), then: (page) => see(page, 'octocat') },
  'connection-tested': {
    world: () => new World('ordinary', { ping: 401 }),
    then: async (page) => {
      await see(page, 'octocat')
      await press(page, 'Test')
      await see(page, 'does not accept the token')
    },
  },
  'connection-scopes': {
    world: () => new World('ordinary'),
    then: async (page) => {
      await see(page, 'octocat')
      await page.getByRole('group', { name: /octocat/ }).locator('summary').click()
      await see(page, 'Read and write your repositories')
    },
  },
  'more-scopes': { world: () => new World('ordinary'), view: 'connect?provider=github&connection=con_0000000000000001', then: (page) => see(page, 'More scopes for octocat') },
  hundred: { world: () => new World('hundred'), then: (page) => see(page, 'person4@') },
  long: {
    world: () => new World('long'),
    then: async (page) => {
      await see(page, 'Most Excellent')
      await page.locator('summary').first().click()
    },
  },
  revoking: { world: () => new World('revoking'), then: (page) => see(page, 'grace@example.com') },
  ending: { world: () => new World('ending'), then: (page) => see(page, 'after seven days') },
  locked: { world: () => new World('locked'), then: (page) => see(page, 'locked') },
  damaged: { world: () => new World('damaged'), then: (page) => see(page, 'damaged') },
  unreachable: { world: () => new World('ordinary', { running: false }), then: (page) => see(page, 'Could not reach') },
  'pending-elsewhere': {
    world: () => {
      const w = new World('ordinary')
      w.start({ service: 'demo' })
      return w
    },
    then: (page) => see(page, 'Connecting Demo'),
  },
  disconnect: {
    world: () => new World('ordinary'),
    then: async (page) => {
      await see(page, 'octocat')
      await page.getByRole('group', { name: /octocat/ }).getByRole('button', { name: 'Disconnect' }).click()
      await see(page, 'Read and write your repositories')
    },
  },
  disconnected: {
    world: () => new World('ordinary', { revokes: false }),
    then: async (page) => {
      await see(page, 'octocat')
      await page.getByRole('group', { name: /octocat/ }).getByRole('button', { name: 'Disconnect' }).click()
      await page.getByRole('dialog').getByRole('button', { name: 'Disconnect' }).click()
      await see(page, 'did not confirm')
    },
  },
  activity: { world: () => new World('busy'), view: 'activity', then: (page) => see(page, 'deploy.sh') },
  'activity-of-one': { world: () => new World('busy'), view: 'activity?connection=con_gone', then: (page) => see(page, 'Hemisphere was disconnected') },
  'activity-none': { world: () => new World('empty'), view: 'activity', then: (page) => see(page, 'Nothing has happened yet') },
  'activity-off': { world: () => new World('busy', { recording: false }), view: 'activity', then: (page) => see(page, 'Activity is not recorded') },
  settings: { world: () => new World('ordinary'), view: 'settings', then: (page) => see(page, 'Look again') },
  'settings-locked': {
    world: () => new World('ordinary'),
    view: 'settings',
    then: async (page) => {
      await see(page, 'Look again')
      await press(page, 'Lock')
      await see(page, 'nobody is handed a token')
    },
  },
  'settings-paused': {
    world: () => new World('ordinary'),
    view: 'settings',
    then: async (page) => {
      await see(page, 'Look again')
      await press(page, 'Pause hand-outs')
      await see(page, 'programs get no tokens')
    },
  },
  'settings-refused': {
    world: () => new World('ordinary'),
    view: 'settings',
    then: async (page) => {
      await see(page, 'Look again')
      await page.getByLabel('Callback port').fill('27420')
      await press(page, 'Save')
      await see(page, 'is the demo provider\'s')
    },
  },
  own: { world: () => new World('ordinary'), view: 'own', then: (page) => see(page, 'Everything else is read') },
  'own-file': {
    world: () => new World('ordinary'),
    view: 'own',
    then: async (page) => {
      await page.getByLabel('From a file').check()
      await page.getByLabel('The file').fill('https://example.org/forge.yaml')
      await press(page, 'Look at it')
      await see(page, 'evil.example')
    },
  },
  'own-refused': {
    world: () => new World('ordinary'),
    view: 'own',
    then: async (page) => {
      await page.getByLabel('From a file').check()
      await page.getByLabel('The file').fill('id: github')
      await press(page, 'Look at it')
      await see(page, 'cannot be replaced')
    },
  },
  catalogue: { world: () => new World('ordinary'), view: 'connect', then: (page) => see(page, 'GitLab') },
  'catalogue-search': {
    world: () => new World('ordinary'),
    view: 'connect',
    then: async (page) => {
      await see(page, 'GitLab')
      await page.keyboard.type('git')
      await page.keyboard.press('ArrowDown')
    },
  },
  'catalogue-none': {
    world: () => new World('ordinary'),
    view: 'connect',
    then: async (page) => {
      await see(page, 'GitLab')
      await page.keyboard.type('zzz')
      await see(page, 'No provider fits')
    },
  },
  'provider-needs-app': { world: () => new World('ordinary'), view: 'connect?provider=github', then: (page) => see(page, 'Redirect URI') },
  'provider-app-missing': {
    world: () => new World('ordinary'),
    view: 'connect?provider=github',
    then: async (page) => {
      await page.getByLabel('Client ID').fill('Iv1.0123456789abcdef')
      await press(page, 'Save')
      await see(page, 'needs a client secret too')
    },
  },
  'provider-ready': {
    world: () => new World('ordinary'),
    view: 'connect?provider=demo',
    then: async (page) => {
      await see(page, 'Ask for more')
    },
  },
  'provider-app': {
    world: () => new World('ordinary'),
    view: 'connect?provider=acme_cloud',
    then: async (page) => {
      await page.locator('summary', { hasText: 'OAuth app' }).click()
    },
  },
  'provider-unknown': { world: () => new World('ordinary'), view: 'connect?provider=nobody', then: (page) => see(page, 'does not know this provider') },
  'attempt-waiting': { world: () => new World('ordinary'), view: 'connect?provider=demo', then: attempt(() => {}) },
  'attempt-no-browser': {
    world: () => new World('ordinary', { browser: false }),
    view: 'connect?provider=demo',
    then: async (page) => {
      await press(page, 'Connect Demo')
      await see(page, 'could not open your browser')
    },
  },
  'attempt-device': {
    world: () => new World('ordinary'),
    view: 'connect?provider=demo',
    then: async (page) => {
      await page.locator('summary', { hasText: 'another computer' }).click()
      await press(page, 'Connect by a code')
      await see(page, 'WDJB-MJHT')
    },
  },
  'attempt-device-elsewhere': {
    world: () => {
      const w = new World('ordinary')
      w.start({ service: 'demo', callback_transport: 'device' }, 'local')
      return w
    },
    view: 'attempt?state=st_0001',
    then: (page) => see(page, 'A program on this computer started this'),
  },
  'attempt-paste': {
    world: () => new World('ordinary'),
    view: 'connect?provider=demo',
    then: async (page) => {
      await page.locator('summary', { hasText: 'another computer' }).click()
      await press(page, 'Connect by pasting')
      await page.getByLabel('Address of the page').fill('nonsense')
      await press(page, 'Finish')
      await see(page, 'There is no code in that')
    },
  },
  'attempt-confirm': {
    world: () => new World('ordinary'),
    view: 'connect?provider=demo',
    then: async (page, world) => {
      await press(page, 'Connect Demo')
      await see(page, 'Waiting for you to approve')
      world.last.step = 'awaiting_confirmation'
      await page.getByRole('textbox', { name: 'Code' }).fill('AAAA')
      await press(page, 'Confirm')
      await see(page, '2 tries are left')
    },
  },
  'attempt-identifying': {
    world: () => new World('ordinary'),
    view: 'connect?provider=demo',
    then: async (page, world) => {
      await press(page, 'Connect Demo')
      await see(page, 'Waiting for you to approve')
      world.last.step = 'identifying'
      await page.locator('[aria-current=step]', { hasText: 'whose account' }).waitFor()
    },
  },
  'attempt-complete': {
    world: () => new World('ordinary'),
    view: 'connect?provider=demo',
    then: async (page, world) => {
      await attempt((w) => w.complete({ account_info: 'ada@demo.example', granted_scopes: ['profile', 'email'], missing_scopes: ['notes.read'] }))(page, world)
      await see(page, 'Demo is connected')
      await see(page, 'Read the notes')
    },
  },
  'attempt-other-account': {
    world: () => new World('ordinary'),
    view: 'connect?provider=demo',
    then: async (page, world) => {
      await attempt((w) => w.complete({ account_info: 'grace@demo.example', asked_account: 'ada@demo.example', granted_scopes: ['profile'] }))(page, world)
      await see(page, 'another account approved')
      await press(page, 'Use another account')
      await see(page, 'Waiting for you to approve')
      if (!world.last.request.choose_account) throw new Error('the choice was not asked for')
    },
  },
  'attempt-denied': {
    world: () => new World('ordinary'),
    view: 'connect?provider=demo',
    then: async (page, world) => {
      await attempt((w) => w.fail('denied', 'Access was denied at Demo. Nothing has changed.'))(page, world)
      await see(page, 'Demo was not connected')
    },
  },
  'attempt-forgotten': { world: () => new World('ordinary'), view: 'attempt?state=st_gone', then: (page) => see(page, 'This authorization is over') },
}
