// What the page remembers is kept by the browser, unencrypted and for ever: tabs, variables, the history. What has
// credentials or tokens in it is not remembered. A tab with such an operation is gone after a reload, and that is
// the lesser evil.
const SECRET = /credentials|authorization|sluice_|lease_/i;

export const storage = {
  get length() {
    return window.localStorage.length;
  },
  getItem: (key) => window.localStorage.getItem(key),
  setItem(key, value) {
    if (SECRET.test(value)) {
      return;
    }
    window.localStorage.setItem(key, value);
  },
  removeItem: (key) => window.localStorage.removeItem(key),
  clear: () => window.localStorage.clear(),
};
