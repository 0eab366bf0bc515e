// Light or dark, before anything is painted: what was chosen here before, or else what the system says.

(() => {
    const KEY = 'order-engine.theme';
    const systemIsDark = matchMedia('(prefers-color-scheme: dark)');

    function stored() {
        try {
            return localStorage.getItem(KEY);
        } catch { // storage is not allowed
            return null;
        }
    }

    function show(theme) {
        document.documentElement.dataset.theme = theme;
        const button = document.getElementById('theme');
        if (button) {
            button.textContent = theme === 'dark' ? 'Light' : 'Dark';
            button.setAttribute('aria-label', `Switch to ${theme === 'dark' ? 'light' : 'dark'} colours`);
        }
    }

    const wanted = () => stored() ?? (systemIsDark.matches ? 'dark' : 'light');

    show(wanted());
    systemIsDark.addEventListener('change', () => show(wanted()));
    document.addEventListener('DOMContentLoaded', () => {
        show(wanted());
        document.getElementById('theme').addEventListener('click', () => {
            const theme = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
            try {
                localStorage.setItem(KEY, theme);
            } catch {
                // for this visit alone, then
            }
            show(theme);
        });
    });
})();
