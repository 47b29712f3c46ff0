(window.vaeLive = window.vaeLive || {}).mount(); // last: everything is loaded
